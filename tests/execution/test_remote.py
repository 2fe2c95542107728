"""Cells run as on another machine, in a temporary folder: the same numbers and checkpoints."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from fdabench.errors import WorkloadError
from fdabench.execution.backend import RunContext
from fdabench.execution.events import CellProgress, CellStarted
from fdabench.execution.remote_folder import record_lost, record_result, record_started
from fdabench.execution.remote_worker import (
    NodeEvent,
    RemoteCell,
    RemoteConfig,
    RemoteResult,
    run_remote_cells,
)
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.registry.plugin_loading import PackedPlugins
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.suite.cell import Cell

DATA = load_datasets(["digits"], Path("no-data"))
ON = ExecutionConfig(torch.device("cpu"), "sequential")
ERRAND = RemoteConfig(ON, PackedPlugins())


def away(cell: Cell, *, record: Any = None, checkpoint: bytes | None = None, stop: Callable[[], bool] = bool) -> Any:
    received: list[NodeEvent] = []
    parcel = RemoteCell(cell, code_hashes(cell.config), record, checkpoint)
    (left,) = run_remote_cells(ERRAND, [parcel], asdict(DATA["digits"]), received.append, stop)
    return left, received


def place(root: Path) -> RunContext:
    return RunContext(ResultsFolder(root), DATA, ON)


def assert_same_tables(left: ResultsFolder, right: ResultsFolder, cell_id: str) -> None:
    for name in TABLES:
        actual, own = (store.read_cell_table(cell_id, name).to_pandas() for store in (left, right))
        assert actual.drop(columns="wall_s", errors="ignore").equals(own.drop(columns="wall_s", errors="ignore")), name


def test_a_remote_cell_returns_the_files_that_a_local_cell_writes(ran: Any, tmp_path: Path) -> None:
    for label in ("Synchronous", "FedAdam"):
        cell, there = ran.cells[label], place(tmp_path)
        record_started(cell, there)
        left, received = away(cell)
        record_result(left, there.store)
        assert_same_tables(there.store, ran.store, cell.id)
        assert received[0] == CellStarted(cell)
        assert all(isinstance(message, CellProgress) for message in received[1:])
        actual, own = there.store.read_record(cell.id), ran.store.read_record(cell.id)
        assert actual is not None
        assert own is not None
        clocks = ("started", "ended", "wall_s", "process")
        assert actual.to_dict().keys() == own.to_dict().keys()
        assert {key: value for key, value in actual.to_dict().items() if key not in clocks} == {
            key: value for key, value in own.to_dict().items() if key not in clocks
        }
        names = {path.name for path in there.store.cell_dir(cell.id).iterdir()}
        assert names == {"cell.json", *(f"{name}.parquet" for name in TABLES)}


@pytest.mark.slow
def test_a_stopped_cell_sends_its_checkpoint_and_resumes_on_another_machine(ran: Any, tmp_path: Path) -> None:
    """The first answer is no, at the beginning; the thread's is yes."""
    cell, there = long_cell(ran), place(tmp_path)
    answers = iter([False])
    left, _ = away(cell, stop=lambda: next(answers, True))
    assert left.record.state == "interrupted"
    assert 0 < left.record.steps < 1500
    record_result(left, there.store)
    checkpoint = there.store.checkpoint_path(cell.id).read_bytes()
    again, _ = away(cell, record=there.store.read_record(cell.id), checkpoint=checkpoint)
    assert (again.record.state, again.record.attempts) == ("done", 2)
    assert again.record.resumed_at_step == left.record.steps
    record_result(again, there.store)
    assert not there.store.checkpoint_path(cell.id).exists()
    whole, _ = away(cell)
    record_result(RemoteResult(whole.record, whole.files), ResultsFolder(tmp_path / "whole"))
    assert_same_tables(there.store, ResultsFolder(tmp_path / "whole"), cell.id)


def long_cell(ran: Any) -> Cell:
    cell: Cell = ran.cells["Synchronous"]
    evaluation = {"every_steps": 500, "model": cell.config.eval.model}
    config = cell.config.with_changes({"budget": {"steps": 1500}, "eval": evaluation})
    return Cell(config, cell.label, cell.is_reference)


def test_other_code_on_another_node_is_reported_before_anything_is_run(ran: Any) -> None:
    cell = ran.cells["Synchronous"]
    parcel = RemoteCell(cell, {**code_hashes(cell.config), "strategies/synchronous.py": "other"}, None, None)
    with pytest.raises(WorkloadError, match=r"another version of fdabench: strategies/synchronous\.py differ there"):
        run_remote_cells(ERRAND, [parcel], asdict(DATA["digits"]), lambda message: None, bool)


def test_each_start_of_a_cell_is_an_attempt_even_without_a_result(ran: Any, tmp_path: Path) -> None:
    cell, there = ran.cells["FedAvg"], place(tmp_path)
    assert record_lost(cell.id, there.store, "its node died") is None
    record_started(cell, there)
    record_started(cell, there)
    lost = record_lost(cell.id, there.store, "its node died")
    assert lost is not None
    assert (lost.state, lost.attempts) == ("lost", 2)
    left, _ = away(cell, record=lost)
    assert (left.record.state, left.record.attempts) == ("done", 3)
