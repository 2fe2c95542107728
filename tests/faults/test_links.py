"""Links in an untrusted results folder: no file outside it is read or written."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fdabench.errors import ResultError
from fdabench.execution.lease import Lease
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import load, write_derived
from support.digits_results import make_record

Say = Callable[..., Any]
Linked = Callable[[str], Path]
RESULTS = Path("results/hurt")
READ = ["suite.lock.toml", "cells", "cells/DONE", "cells/DONE/cell.json", "cells/DONE/ledger.parquet"]


@pytest.fixture
def linked(stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Linked:
    """Move a file of a copy of the results and replace it by a link; return its new path."""
    shutil.copytree(stopped.folder, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")

    def moved(name: str) -> Path:
        path = RESULTS / name.replace("DONE", stopped.done).replace("UNDER_WAY", stopped.under_way)
        there = tmp_path / "outside"
        os.rename(path, there)
        path.symlink_to(there)
        return there

    return moved


def contents(root: Path) -> dict[str, bytes]:
    paths = [root, *root.rglob("*")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if path.is_file()}


@pytest.mark.parametrize("name", READ)
def test_a_link_out_of_the_folder_is_refused_by_commands_that_read(
    stopped: Any, linked: Linked, say: Say, name: str
) -> None:
    linked(name)
    for command in (["show", RESULTS, stopped.done], ["report", RESULTS], ["compare", RESULTS, RESULTS]):
        result = say(*command)
        assert result.exit_code == 2, result.output
        assert f"a link leads out of {RESULTS}; put there what it leads to" in result.stderr
    assert say("check", RESULTS).exit_code in (2, 4)


@pytest.mark.parametrize(
    "name", [*READ, "cells/UNDER_WAY", "cells/UNDER_WAY/checkpoint.pt", ".leases", ".leases/UNDER_WAY.lock"]
)
def test_nothing_outside_the_folder_is_written_through_a_link(stopped: Any, linked: Linked, name: str) -> None:
    outside = linked(name)
    before = contents(outside)
    store, lock = ResultsFolder(RESULTS), ResultsFolder(stopped.folder / RESULTS).read_lock()
    refused = []
    for cell_id in (stopped.done, stopped.under_way):
        for write in (
            lambda cell_id=cell_id: store.write_record(make_record(cell_id)),
            lambda cell_id=cell_id: store.write_tables(cell_id, {"ledger": []}, "{}"),
            lambda cell_id=cell_id: store.remove_temp_files(cell_id),
            lambda cell_id=cell_id: store.checkpoint_path(cell_id),
            lambda cell_id=cell_id: _leased(store, cell_id),
            lambda: store.write_lock(lock),
        ):
            try:
                write()
            except ResultError as error:
                refused.append(str(error))
    assert refused
    assert all("a link leads out of" in text for text in refused)
    assert contents(outside) == before


def _leased(store: ResultsFolder, cell_id: str) -> None:
    assert Lease(store, cell_id).acquire()


def test_a_run_writes_nothing_outside_and_names_the_link(stopped: Any, linked: Linked, say: Say) -> None:
    outside = linked("cells/UNDER_WAY")
    before = contents(outside)
    result = say("run", "hurt.toml", "--jobs", "1", "--device", "cpu")
    assert result.exit_code == 2
    assert f"cells/{stopped.under_way}/cell.json: a link leads out of {RESULTS}" in result.stderr
    assert contents(outside) == before


def test_derived_tables_replace_a_link(linked: Linked) -> None:
    outside = linked("runs.parquet")
    before = outside.read_bytes()
    write_derived(load(RESULTS))
    assert outside.read_bytes() == before
    assert not (RESULTS / "runs.parquet").is_symlink()


def test_a_cycle_of_links_is_refused(stopped: Any, linked: Linked, say: Say) -> None:
    linked("cells/DONE/cell.json").unlink()
    path = RESULTS / "cells" / stopped.done / "cell.json"
    path.unlink()
    path.symlink_to("other")
    path.with_name("other").symlink_to("cell.json")
    # one version of Python finds the circle, another finds no file
    assert say("status", RESULTS).exit_code in (0, 2)


def test_the_results_folder_itself_may_be_a_link(stopped: Any, linked: Linked, say: Say) -> None:
    linked("")
    assert RESULTS.is_symlink()
    assert say("show", RESULTS, stopped.done).exit_code == 0


def test_a_pipe_in_place_of_a_file_does_not_block_a_command(stopped: Any, linked: Linked, say: Say) -> None:
    linked("cells/DONE/cell.json")
    path = RESULTS / "cells" / stopped.done / "cell.json"
    path.unlink()
    os.mkfifo(path)
    result = say("status", RESULTS)
    assert result.exit_code == 2
    assert f"{path}: cannot be read: it is no file" in result.stderr
