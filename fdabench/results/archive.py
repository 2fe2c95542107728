"""Reads and writes results archives: the suite, the records and the tables of a results folder in one compressed file.

`fdabench export --to archive` writes one. A results folder has hundreds of small files, of which an archive needs a
tenth of the space, so it can be committed or attached to a paper. Commands that read results also read archives;
`fdabench merge ARCHIVE -o DIR` writes the folder again, which `fdabench run` continues.
"""

import lzma
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from fdabench.errors import ResultError
from fdabench.regular_files import open_regular
from fdabench.results.cell_record import PENDING_STATES
from fdabench.results.files import atomic_write, read_bytes
from fdabench.results.folder import OPTIONAL_TABLES, TABLES, ResultsFolder

SUFFIX = ".tar.xz"
MAX_BYTES = 8 * 2**30
"""The most bytes that an archive may unpack to, so that a small damaged or hostile file cannot fill the disk."""
_TABLES = (*TABLES, *OPTIONAL_TABLES)
_MEMBER = re.compile(rf"suite\.lock\.toml|cells/[0-9a-z]+/(cell\.json|({'|'.join(_TABLES)})\.parquet)")


def is_archive(path: Path) -> bool:
    """Whether the path is named like an archive and is not a folder."""
    return path.name.endswith(SUFFIX) and not path.is_dir()


def has_results(path: Path) -> bool:
    """Whether the path is a results folder or an archive.

    A folder counts even where its lock cannot be read: the function that reads the lock then names the lock's fault.
    """
    return ResultsFolder(path).lock_path.exists() or (is_archive(path) and path.is_file())


def write_archive(root: Path, path: Path) -> None:
    """Write an archive of a results folder. Equal results give equal bytes.

    Checkpoints, logs and cells that have not ended are left out. Of a cell that failed, the archive has the record.

    Args:
        root: the results folder.
        path: the archive.

    Raises:
        ResultError: the folder cannot be read, or the archive cannot be written.
    """
    store = ResultsFolder(root)
    records = [record for cell in store.read_lock().cell if (record := store.read_record(cell.id)) is not None]
    ended = [record.id for record in records if record.state not in PENDING_STATES]
    cells = [record.id for record in records if record.has_result]
    # files of one kind follow each other, because the compression then finds what they have in common
    names = [store.lock_path.name, *(f"cells/{cell}/cell.json" for cell in ended)]
    names += [f"cells/{cell}/{table}.parquet" for table in TABLES for cell in cells]
    optional = [f"cells/{cell}/{table}.parquet" for table in OPTIONAL_TABLES for cell in cells]
    names += [name for name in optional if store.safe_path(name).exists()]
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            data = read_bytes(store.safe_path(name))
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))
    compressed = lzma.compress(content.getvalue(), preset=9)
    atomic_write(path, lambda file: file.write(compressed))


@contextmanager
def opened(root: Path) -> Iterator[Path]:
    """Yield a results folder with the content of `root`, for reading.

    Args:
        root: a results folder, which is yielded as it is, or an archive, which is unpacked into a temporary folder.

    Raises:
        ResultError: the archive cannot be read, is damaged, or has files that fdabench does not write. Errors that are
            raised while the folder is open name the archive.
    """
    if not is_archive(root):
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="fdabench-") as name:
        folder = Path(name) / "results"
        _unpack(root, folder)
        try:
            yield folder
        except ResultError as error:
            raise ResultError(str(error).replace(str(folder), str(root))) from error


def _unpack(path: Path, folder: Path) -> None:
    damaged = f"{path}: a damaged archive; `fdabench export --to archive` writes a new one"
    left = MAX_BYTES
    try:
        with (
            open_regular(path) as file,
            lzma.open(file) as uncompressed,
            tarfile.open(fileobj=uncompressed, mode="r:") as archive,
        ):
            for member in archive:
                # no other name, and no link, so that nothing is written outside of the folder
                if not (member.isreg() and _MEMBER.fullmatch(member.name)):
                    raise ResultError(f"{path}: no results archive: it has {member.name!r:.80}")
                left -= member.size
                if left < 0:
                    raise ResultError(f"{path}: it would unpack to more than {MAX_BYTES:,} bytes")
                stream = archive.extractfile(member)
                content = stream.read() if stream is not None else b""
                if len(content) != member.size:
                    raise ResultError(damaged)
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            # the check sum of the compressed file is at its end, behind the last member
            while uncompressed.read(2**20):
                pass
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError) as error:
        raise ResultError(damaged) from error
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {error.strerror}") from error
