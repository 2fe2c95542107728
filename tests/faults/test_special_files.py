"""A pipe, a socket or a folder in place of a file: one message and no waiting; ids must be those of the folder."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fdabench.errors import ResultError
from fdabench.execution.lease import Lease
from fdabench.regular_files import NotRegularError, check_regular, open_regular, read_regular
from fdabench.results.folder import ResultsFolder
from fdabench.results.schema import EVALS

Say = Callable[..., Any]
RESULTS = Path("results/hurt")


@pytest.fixture(autouse=True)
def in_two_minutes() -> Iterator[None]:
    """End a test that waits for a pipe after two minutes."""
    signal.alarm(120)
    yield
    signal.alarm(0)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


KINDS: dict[str, Callable[[Path], object]] = {"pipe": os.mkfifo, "folder": Path.mkdir, "socket": bound}


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_that_is_not_a_regular_file_is_not_opened(stopped_copy: Path, kind: str) -> None:
    path = stopped_copy / "there"
    KINDS[kind](path)
    for attempt in (open_regular, read_regular, check_regular):
        with pytest.raises(NotRegularError, match=f"it is no file, but a {kind}"):
            attempt(path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_link_to_a_device_is_not_read(stopped_copy: Path, device: str) -> None:
    path = stopped_copy / "there"
    path.symlink_to(device)
    with pytest.raises(NotRegularError, match="it is no file, but a device"):
        read_regular(path)


def test_files_and_links_to_them_are_read(stopped_copy: Path) -> None:
    (stopped_copy / "file").write_bytes(b"content")
    (stopped_copy / "link").symlink_to(stopped_copy / "file")
    assert read_regular(stopped_copy / "link") == b"content"
    check_regular(stopped_copy / "nothing")
    with pytest.raises(FileNotFoundError):
        open_regular(stopped_copy / "nothing")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize("file", ["suite.lock.toml", "cells/DONE/cell.json", "cells/DONE/evals.parquet"])
def test_a_results_folder_without_its_files_is_reported(
    stopped: Any, stopped_copy: Path, say: Say, file: str, kind: str
) -> None:
    path = RESULTS / file.replace("DONE", stopped.done)
    path.unlink()
    KINDS[kind](path)
    for command in (
        ["compare", RESULTS, stopped.folder / RESULTS],
        ["merge", RESULTS, stopped.folder / RESULTS, "-o", "joined"],
    ):
        result = say(*command)
        assert result.exit_code == 2, result.output
        assert f"{path}: cannot be read: it is no file, but a {kind}" in result.stderr
    assert not Path("joined").exists()


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder"])
def test_a_suite_plugin_or_baseline_that_is_not_a_file_is_reported(stopped_copy: Path, say: Say, kind: str) -> None:
    KINDS[kind](stopped_copy / "other.toml")
    KINDS[kind](stopped_copy / "other.py")
    Path("plugged.toml").write_text('plugins = ["other.py"]\n' + Path("hurt.toml").read_text())
    for command, code in (
        (["plan", "other.toml"], 2),
        (["validate", "other.toml"], 2),
        (["plan", "plugged.toml"], 2),
        (["check", RESULTS, "--baseline", "other.toml"], 4),
    ):
        result = say(*command)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        assert "other." in result.output


def test_a_lock_file_that_is_a_pipe_is_reported(stopped: Any, stopped_copy: Path) -> None:
    path = RESULTS / ".leases" / f"{stopped.done}.lock"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ResultError, match="it is no file, but a pipe"):
        Lease(ResultsFolder(RESULTS), stopped.done).acquire()


def test_tables_and_records_of_another_cell_are_refused(stopped: Any, stopped_copy: Path, say: Say) -> None:
    """Those without an id in their rows as well: their metadata has it."""
    store = ResultsFolder(RESULTS)
    actual, own = (store.cell_dir(cell_id) for cell_id in (stopped.done, stopped.other))
    for name in ("ledger.parquet", "evals.parquet", "cell.json"):
        before = (actual / name).read_bytes()
        shutil.copy(own / name, actual / name)
        result = say("compare", RESULTS, stopped.folder / RESULTS)
        assert result.exit_code == 2, name
        fault = f"belongs to the cell {stopped.other!r}, but is in the folder of"
        assert f"{actual / name}: the {'record' if name == 'cell.json' else 'table'} {fault}" in result.stderr
        (actual / name).write_bytes(before)
    record = json.loads((actual / "cell.json").read_bytes())
    (actual / "cell.json").write_text(json.dumps({**record, "id": "../../x"}))
    with pytest.raises(ResultError, match=r"the record belongs to the cell '\.\./\.\./x'"):
        store.read_record(stopped.done)


def test_rows_that_are_written_have_the_id_of_their_folder(stopped_copy: Path, stopped: Any) -> None:
    store = ResultsFolder(RESULTS)
    rows = store.read_cell_table(stopped.done, "evals").to_pylist()
    store.write_tables(stopped.done, {"evals": [{**row, "cell_id": "../../x"} for row in rows]}, "{}")
    actual = store.read_cell_table(stopped.done, "evals")
    assert isinstance(actual, pa.Table)
    assert actual.column_names == EVALS.names
    assert set(actual["cell_id"].to_pylist()) == {stopped.done}
