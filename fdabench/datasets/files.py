"""Defines data sets of plug-ins whose changes are detected by hashing files and not the loaded tensors.

`execution.plugin_data` calls `files_hash`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fdabench.datasets.base import DatasetSpec
from fdabench.errors import WorkloadError


@dataclass(frozen=True)
class FileBackedDatasetSpec(DatasetSpec):
    """A `DatasetSpec` whose `files` are hashed in place of the tensors that `load` returns.

    So `fdabench plan` reads the files and does not call `load`. Changes of other files that `load` reads are not
    detected.
    """

    files: tuple[str | Path, ...] = ()
    """Paths, absolute or relative to the data folder (`--data-dir`); at least one.

    Write `Path(__file__).resolve().parent / "name"` for a file in the folder of the plug-in.
    """


def files_hash(source: FileBackedDatasetSpec, data_root: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 of the names and the contents of `source.files`.

    Args:
        source: the specification of the data set.
        data_root: the data folder.

    Raises:
        WorkloadError: a file cannot be read; the message lists all such files.
    """
    digest, faults = hashlib.sha256(), []
    for file in source.files:
        path = data_root / file
        try:
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256")
        except OSError as error:
            faults.append(f"{path.as_posix()}: cannot be read: {error.strerror}")
            continue
        digest.update(f"{Path(file).name} {content.hexdigest()}\n".encode())
    if faults:
        raise WorkloadError("\n".join(faults))
    return digest.hexdigest()[:16]
