"""A results folder of a stopped run: two cells are done, and the third has a checkpoint."""

import os
import shutil
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner, Result

from fdabench.cli.main import app
from fdabench.execution.lease import Lease
from fdabench.experiment.run_cell import CellCallbacks
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import load, write_derived
from fdabench.suite.reader import read_suite
from support.cells import run_cell
from support.suites import FEDAVG, SGD, SYNCHRONOUS, digits_suite, linear_fda

SUITE = digits_suite(
    [SYNCHRONOUS, FEDAVG, linear_fda(0.1)],
    name="hurt",
    steps=6,
    every_steps=2,
    targets=[0.2],
    batch_size=8,
    optimizer=SGD,
)


class Stopped(NamedTuple):
    """The folder of the suite, and the ids of its cells: two that are done, and an interrupted one."""

    folder: Path
    done: str
    other: str
    under_way: str


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """Tests use copies and do not change it."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "hurt.toml").write_text(SUITE)
    suite, store = read_suite(folder / "hurt.toml"), ResultsFolder(folder / "results" / "hurt")
    store.write_lock(suite.to_lock())
    for cell in suite.cells[:2]:
        run_cell(cell, store)
    steps = count(1)
    record = run_cell(suite.cells[2], store, CellCallbacks(should_stop=lambda: next(steps) > 2))
    assert record.state == "interrupted"
    write_derived(load(store.root))
    for cell in suite.cells:
        lease = Lease(store, cell.id)
        assert lease.acquire()
        lease.release()
    holder = store.root / ".leases" / f"{suite.cells[2].id}.json"
    holder.write_text('{"host": "elsewhere", "pid": 1}')
    # and was not heard of for an hour
    os.utime(holder, (time.time() - 3600, time.time() - 3600))
    return Stopped(folder, *(cell.id for cell in suite.cells))


@pytest.fixture
def stopped_copy(stopped: Stopped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of `stopped`, which is the current folder of the test."""
    shutil.copytree(stopped.folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def say() -> Callable[..., Result]:
    """Call the program within this process, which is faster."""

    def called(*arguments: Any) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return called
