"""An archive has what a results folder has, in equal bytes each time, and a damaged or hostile one is refused."""

import io
import lzma
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.errors import ResultError
from fdabench.results import archive
from fdabench.results.archive import opened, write_archive
from fdabench.results.cell_record import PENDING_STATES
from fdabench.results.load import Results, load
from support.digits_results import FULL, write

FRAMES = ("runs", "hits", "evals", "ledger", "rounds", "trace", "partition")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive") / "results"
    write(root, replace(FULL, targets=(0.9,)))
    return root


@pytest.fixture(scope="module")
def packed(folder: Path) -> Path:
    path = folder.parent / "results.tar.xz"
    write_archive(folder, path)
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def assert_equal_results(first: Results, second: Results) -> None:
    assert first.lock == second.lock
    ended = {cell: record for cell, record in first.records.items() if record.state not in PENDING_STATES}
    assert second.records.keys() >= ended.keys()
    assert {cell: second.records[cell] for cell in ended} == ended
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))


def with_member(path: Path, packed: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    """Write a copy of the archive with one member more."""
    buffer = io.BytesIO(lzma.decompress(packed.read_bytes()))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    path.write_bytes(lzma.compress(buffer.getvalue(), preset=0))
    return path


def test_an_archive_loads_as_the_folder_does(folder: Path, packed: Path) -> None:
    assert_equal_results(load(folder), load(packed))
    assert {record.state for record in load(packed).records.values()} == {"done", "diverged", "failed"}
    assert load(packed).root == packed


def test_an_archive_of_equal_results_has_equal_bytes(folder: Path, packed: Path, tmp_path: Path) -> None:
    write_archive(folder, tmp_path / "second.tar.xz")
    assert (tmp_path / "second.tar.xz").read_bytes() == packed.read_bytes()
    assert run("export", packed, "--to", "archive", "-o", tmp_path / "third.tar.xz")[0] == 0
    assert (tmp_path / "third.tar.xz").read_bytes() == packed.read_bytes()


def test_merge_unpacks_an_archive_to_a_folder_with_the_same_files(folder: Path, packed: Path, tmp_path: Path) -> None:
    code, output = run("merge", packed, "-o", tmp_path / "again")
    assert code == 0, output
    assert "done" in output
    for path in [*sorted(folder.rglob("cells/*/*.parquet")), folder / "suite.lock.toml"]:
        assert (tmp_path / "again" / path.relative_to(folder)).read_bytes() == path.read_bytes()
    assert_equal_results(load(folder), load(tmp_path / "again"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "RESULTS", "--output-format", "json"),
        ("compare", "RESULTS", "RESULTS", "--output-format", "json"),
        ("advise", "--from", "RESULTS", "--parameters", "1M", "--workers", "8", "--network", "datacenter-10Gbps"),
        ("check", "RESULTS", "--against", "RESULTS", "--output-format", "json"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_that_read_results_read_an_archive(folder: Path, packed: Path, arguments: tuple[str, ...]) -> None:
    outputs = []
    for source in (folder, packed):
        code, output = run(*(str(source) if word == "RESULTS" else word for word in arguments))
        outputs.append((code, output.replace(source.as_posix(), "RESULTS")))
    assert outputs[0] == outputs[1]
    # `check` ends with 4, because two cells of the results failed and two have not been run
    assert outputs[0][0] == (4 if arguments[0] == "check" else 0)


def test_show_prints_a_cell_of_an_archive(folder: Path, packed: Path) -> None:
    cell = load(folder).lock.cell[0].id
    assert run("show", packed, cell) == run("show", folder, cell)
    code, output = run("show", packed, "no-such-cell")
    assert code == 2
    assert packed.as_posix() in output.replace("\n", "")


def test_a_report_of_an_archive_leaves_the_archive_as_it_is(packed: Path, tmp_path: Path) -> None:
    before = packed.read_bytes()
    code, output = run("report", packed, "-o", tmp_path / "report")
    assert code == 0, output
    assert (tmp_path / "report" / "index.html").is_file()
    assert packed.read_bytes() == before


def test_advise_reads_the_archives_of_a_folder_without_results(packed: Path) -> None:
    options = ("--parameters", "1M", "--workers", "8", "--network", "datacenter-10Gbps", "--output-format", "json")
    (packed.parent / "study").mkdir()
    (packed.parent / "study" / packed.name).write_bytes(packed.read_bytes())
    assert run("advise", "--from", packed.parent / "study", *options) == run("advise", "--from", packed, *options)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "first half": lambda whole: whole[: len(whole) // 2],
    "all but one": lambda whole: whole[:-1],
    "other bytes": lambda whole: b"x" * len(whole),
    "first half of the tar file": lambda whole: lzma.compress(lzma.decompress(whole)[: 3 * 512 + 17]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_archive_is_refused_with_its_name(packed: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "damaged.tar.xz"
    path.write_bytes(DAMAGES[damage](packed.read_bytes()))
    code, output = run("show", path)
    assert code == 2, output
    assert "damaged.tar.xz" in output
    assert run("merge", path, "-o", tmp_path / "out")[0] == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", ["../outside", "/outside", "cells/../../outside", "cells/a/cell.json/x", "cells/a/run.py"]
)
def test_an_archive_with_another_file_is_refused(packed: Path, tmp_path: Path, name: str) -> None:
    path = with_member(tmp_path / "hostile.tar.xz", packed, tarfile.TarInfo(name), b"text")
    with pytest.raises(ResultError, match="no results archive"):
        load(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_an_archive_with_a_link_or_a_device_is_refused(packed: Path, tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("cells/a/cell.json")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(ResultError, match="no results archive"):
        load(with_member(tmp_path / "link.tar.xz", packed, member))


def test_an_archive_that_would_fill_the_disk_is_refused(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(ResultError, match="unpack to more than 1,000 bytes"):
        load(packed)


def test_the_temporary_folder_is_removed_and_errors_name_the_archive(packed: Path) -> None:
    with pytest.raises(ResultError, match=r"results\.tar\.xz/cells: no such cell"), opened(packed) as folder:
        raise ResultError(f"{folder}/cells: no such cell")
    assert not folder.exists()


def test_merge_refuses_one_folder(folder: Path, tmp_path: Path) -> None:
    code, output = run("merge", folder, "-o", tmp_path / "out")
    assert code == 2
    assert "give two or more" in output
