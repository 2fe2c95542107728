"""Cells: the files that they write, failures, and the status that decides which cells run again."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pytest
import torch

from fdabench.accounting.costs import CONVENTIONS, total_bytes
from fdabench.execution.backend import RunContext
from fdabench.execution.events import CellFinished, CellProgress, CellStarted
from fdabench.execution.local_backend import LocalBackend
from fdabench.execution.scheduler import run_cells
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.run_cell import CellCallbacks
from fdabench.experiment.status import cell_statuses, summarize
from fdabench.planning.forecast import forecast_bytes
from fdabench.results.cell_record import FAILURE_STATES, CellRecord
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.load import load
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.strategies import STRATEGIES
from fdabench.strategies.fda import FDA
from fdabench.suite.cell import Cell
from support.cells import run_cell

Cells = Callable[..., list[Cell]]
PERIODIC = ["Synchronous", "FedAvg", "FedAdam", "FedAvgM"]


def place(store: ResultsFolder, jobs: int, together: int = 1) -> RunContext:
    digits = load_datasets(["digits"], Path("no-data"))
    return RunContext(store, digits, ExecutionConfig(torch.device("cpu"), "sequential", jobs, 1, together))


def ledger(ran: Any, label: str) -> pd.DataFrame:
    return ran.store.read_cell_table(ran.cells[label].id, "ledger").to_pandas()


def test_every_cell_of_the_tiny_suite_is_done(ran: Any) -> None:
    assert {label: record.state for label, record in ran.records.items()} == dict.fromkeys(ran.cells, "done")
    assert len(ran.cells) == 9


def test_a_cell_writes_a_record_and_every_table(ran: Any) -> None:
    for label, cell in ran.cells.items():
        names = {path.name for path in ran.store.cell_dir(cell.id).iterdir()}
        assert names == {"cell.json"} | {f"{table}.parquet" for table in TABLES}
        record = ran.store.read_record(cell.id)
        assert record is not None
        assert (record.label, record.config, record.attempts) == (label, cell.config, 1)
        assert (record.steps, record.resolved["budget_steps"]) == (24, 24)
        assert record.started <= record.ended
        assert {"fdabench", "torch", "python", "device", "threads", "git"} <= set(record.environment)


def test_the_same_seed_gives_all_strategies_the_same_start_and_samples(ran: Any) -> None:
    assert len({str(record.seeds) for record in ran.records.values()}) == 1
    partitions = [ran.store.read_cell_table(cell.id, "partition") for cell in ran.cells.values()]
    assert all(table.equals(partitions[0]) for table in partitions)
    assert partitions[0].to_pandas()["samples"].sum() == 1438


def test_tables_of_a_cell_agree_with_each_other(ran: Any) -> None:
    results = load(ran.store.root)
    for cell_id, evals in results.evals.groupby("cell_id"):
        rounds = results.rounds[results.rounds["cell_id"] == cell_id]
        facts = results.ledger[results.ledger["cell_id"] == cell_id]
        assert list(evals["step"]) == [8, 16, 24]
        assert len(rounds) == facts.loc[facts["kind"] == "model", "count"].sum()
        assert (rounds["steps"].cumsum() == rounds["step"]).all()
        assert list(evals["syncs"]) == [(rounds["step"] < step).sum() for step in evals["step"]]
        assert list(evals["round"]) == list(evals["syncs"] + 1)
        parts = evals["paper_bytes_model"] + evals["paper_bytes_state"] + evals["paper_bytes_optimizer"]
        assert (parts == evals["paper_bytes_total"]).all()
        arguments = rounds[rounds["theta"].notna()]
        assert (arguments["estimate"] > arguments["theta"]).all()


def test_a_cell_run_again_has_the_same_tables_except_clock_columns(ran: Any, tmp_path: Path) -> None:
    cell = ran.cells["SketchFDA"]
    run_cell(cell, ResultsFolder(tmp_path))
    for name in TABLES:
        first, again = (
            store.read_cell_table(cell.id, name).to_pandas() for store in (ran.store, ResultsFolder(tmp_path))
        )
        clocks = [column for column in CLOCK_COLUMNS if column in first]
        pd.testing.assert_frame_equal(first.drop(columns=clocks), again.drop(columns=clocks), check_exact=True)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_bytes_are_forecast_exactly_for_periodic_strategies_and_bounded_for_fda(ran: Any, convention: str) -> None:
    for label, cell in ran.cells.items():
        bound = forecast_bytes(ResolvedCell(cell.config), convention)
        assert bound is not None
        spent = total_bytes(ledger(ran, label), cell.config.workers, convention).total
        if label in PERIODIC:
            assert bound.low == bound.high == spent, label
        else:
            assert bound.low < spent < bound.high, label


def test_bytes_of_a_strategy_without_a_forecast_are_unknown(ran: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResolvedCell, "strategy", object())
    assert [forecast_bytes(ResolvedCell(cell.config), "paper") for cell in ran.cells.values()] == [None] * 9


def test_a_cell_that_raises_is_recorded_as_failed_with_its_traceback(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> NoReturn:
        raise ZeroDivisionError("the strategy is broken")

    monkeypatch.setattr(FDA, "step", broken)
    cell, store = cells()[-1], ResultsFolder(tmp_path / "results")
    assert run_cell(cell, store).state == "failed"
    record = store.read_record(cell.id)
    assert record is not None
    assert (record.state, record.attempts) == ("failed", 1)
    assert record.error.startswith("Traceback")
    assert "in broken" in record.error
    assert record.error.rstrip().endswith("ZeroDivisionError: the strategy is broken")
    assert [path.name for path in store.cell_dir(cell.id).iterdir()] == ["cell.json"]
    monkeypatch.undo()
    record = run_cell(cell, store)
    assert (record.state, record.attempts) == ("done", 2)
    assert record.error == ""


@pytest.mark.parametrize("error", [MemoryError("no more"), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_cell_that_runs_out_of_memory_is_recorded_as_oom(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*args: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(FDA, "step", full)
    record = run_cell(cells()[-1], ResultsFolder(tmp_path))
    assert record.state == "oom"
    assert str(error) in record.error


def test_a_strategy_that_refuses_its_cell_is_recorded_as_failed(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thresholds per parameter come to a number only in the cell, and a strategy of others may refuse it there."""

    @dataclass(frozen=True)
    class Picky(FDA):
        def __post_init__(self) -> None:
            if self.theta > 1:
                raise ValueError("theta: more than this strategy can do")

    Picky.__module__ = FDA.__module__
    monkeypatch.setitem(STRATEGIES, "fda", Picky)  # type: ignore[arg-type]
    cell = cells("strategy.5.theta={per_parameter = 0.5}")[-1]
    record = run_cell(cell, ResultsFolder(tmp_path))
    assert record.state == "failed"
    assert "more than this strategy can do" in record.error


def test_the_record_of_a_stopped_cell_is_interrupted_from_its_start(cells: Cells, tmp_path: Path) -> None:
    cell, store = cells()[0], ResultsFolder(tmp_path)
    visited: list[Any] = []

    def stop() -> bool:
        visited.append(store.read_record(cell.id))
        return len(visited) == 3

    assert run_cell(cell, store, CellCallbacks(should_stop=stop)).state == "interrupted"
    assert [record.state for record in visited] == ["interrupted"] * 3
    assert {path.name for path in store.cell_dir(cell.id).iterdir()} == {"cell.json", "checkpoint.pt"}
    assert cell_statuses([cell], store)[0][1:3] == ("to run", "interrupted")


def test_a_cell_that_diverges_ends_immediately_and_has_a_result(cells: Cells, tmp_path: Path) -> None:
    cell = cells("workload.0.optimizer={kind = 'sgd', lr = 1e30}", "eval.every_steps=4")[0]
    record = run_cell(cell, ResultsFolder(tmp_path))
    assert (record.state, record.steps) == ("diverged", 4)
    assert cell_statuses([cell], ResultsFolder(tmp_path))[0].status == "done"


def test_a_cell_ends_when_the_last_target_is_reached(cells: Cells, tmp_path: Path) -> None:
    overrides = ["eval.targets=[0.15]", "eval.stop_at_last_target=true", "eval.every_steps=2"]
    record = run_cell(cells(*overrides)[0], ResultsFolder(tmp_path))
    assert record.state == "target_reached"
    assert record.steps < 24
    assert record.steps % 2 == 0


def test_progress_is_reported_at_every_evaluation(cells: Cells, tmp_path: Path) -> None:
    message: list[Any] = []
    run_cell(cells()[0], ResultsFolder(tmp_path), CellCallbacks(lambda cell_id, progress: message.append(progress)))
    assert [(item.step, item.budget, item.syncs) for item in message] == [(8, 24, 7), (16, 24, 15), (24, 24, 23)]
    assert all(isnan(item.variance_over_theta) for item in message)


def test_finished_cells_are_done_and_cells_that_never_started_are_to_run(ran: Any, cells: Cells) -> None:
    actual = cell_statuses([*ran.cells.values(), *cells("seeds=[7]")], ran.store)
    assert [(item.status, item.reason) for item in actual] == [("done", "")] * 9 + [("to run", "")] * 9
    assert summarize(actual) == "9 done | 9 to run"


@pytest.mark.parametrize(
    ("change", "status", "why"),
    [
        ({"state": "failed"}, "failed", "failed"),
        ({"state": "lost"}, "to run", "lost"),
        ({"state": "oom"}, "failed", "oom"),
        ({"state": "interrupted"}, "to run", "interrupted"),
        ({"state": "target_reached"}, "done", ""),
        ({"state": "diverged"}, "done", ""),
        ({"environment": {"torch": "1.0"}}, "stale", f"torch 1.0 -> {torch.__version__}"),
        ({"label": "Other", "attempts": 9}, "done", ""),
    ],
    ids=str,
)
def test_the_status_of_a_cell_follows_from_its_record(
    ran: Any, tmp_path: Path, change: dict[str, Any], status: str, why: str
) -> None:
    cell, store = ran.cells["FedAvg"], ResultsFolder(tmp_path)
    shutil.copytree(ran.store.cell_dir(cell.id), store.cell_dir(cell.id))
    store.write_record(ran.records["FedAvg"].with_changes(change))
    assert [item[:3] for item in cell_statuses([cell], store)] == [(cell, status, why)]


@pytest.mark.parametrize(
    ("file", "then"), [("engine/loop.py", "0" * 16), ("strategies/fedavg.py", None), ("strategies/gone.py", "1" * 16)]
)
def test_a_stale_cell_names_the_file_that_changed(ran: Any, tmp_path: Path, file: str, then: str | None) -> None:
    cell, store = ran.cells["FedAvg"], ResultsFolder(tmp_path)
    code = {**ran.records["FedAvg"].code, file: then}
    store.write_record(ran.records["FedAvg"].with_changes({"code": {k: v for k, v in code.items() if v}}))
    (actual,) = cell_statuses([cell], store)
    assert actual.status == "stale"
    assert actual.reason.startswith(f"{file} changed ({then or 'absent'} -> ")
    assert summarize([actual]) == f"0 done | 1 stale: {file} changed | 0 to run"


def test_a_stale_cell_names_every_file_that_changed_and_torch(ran: Any, tmp_path: Path) -> None:
    """In a line the first three of them."""
    cell, store, record = ran.cells["FedAvg"], ResultsFolder(tmp_path), ran.records["FedAvg"]
    code = dict.fromkeys(sorted(record.code)[:3], "0" * 16)
    environment = record.environment | {"torch": "1.0"}
    store.write_record(record.with_changes({"code": record.code | code, "environment": environment}))
    (actual,) = cell_statuses([cell], store)
    versions = [("torch", "1.0", torch.__version__)]
    expected = [*((file, "0" * 16, record.code[file]) for file in code), *versions]
    assert sorted(actual.changed) == sorted(expected)
    assert actual.reason.count(" changed (") == 3
    assert actual.reason.endswith(" and 1 more")
    assert (
        summarize([actual])
        == f"0 done | 1 stale: {', '.join(f'{file} changed' for file in code)} and 1 more | 0 to run"
    )


def test_a_cell_of_other_code_that_lost_its_label_is_found_by_its_configuration(ran: Any) -> None:
    renamed = replace(ran.cells["FedAvg"], label="Mine", is_reference=True)
    assert cell_statuses([renamed], ran.store)[0].status == "done"


@pytest.mark.slow
def test_a_killed_process_loses_its_own_cell_only(cells: Cells, tmp_path: Path) -> None:
    """It dies while the other process is at a cell of its own, which goes on undisturbed."""
    first, second, *short = [longer(cell) for cell in cells("seeds=[0]")[:2]] + cells("seeds=[0]")[2:4]
    store, killed = ResultsFolder(tmp_path), False
    ended: dict[str, CellRecord] = {}
    run = run_cells([first, second, *short], place(store, 2), LocalBackend())
    for event in run:
        if isinstance(event, CellProgress) and event.cell == first and not killed:
            os.kill(pid_at(store, first), signal.SIGKILL)
            killed = True
        elif isinstance(event, CellFinished):
            ended[event.cell.id] = event.record
        if len(ended) == 3:
            break
    run.close()
    assert {cell_id: record.state for cell_id, record in ended.items()} == {
        first.id: "lost",
        short[0].id: "done",
        short[1].id: "done",
    }
    record = store.read_record(first.id)
    assert record is not None
    assert record.state in FAILURE_STATES
    assert "the process of this cell died: it ended by signal 9" in record.error
    record = store.read_record(second.id)
    assert record is not None
    assert (record.state, record.attempts) == ("interrupted", 1)
    assert store.checkpoint_path(second.id).exists()
    assert multiprocessing.active_children() == []


def longer(cell: Cell) -> Cell:
    return replace(cell, config=cell.config.with_changes({"budget": {"steps": 1_000_000}}))


def pid_at(store: ResultsFolder, cell: Cell) -> int:
    record = store.read_record(cell.id)
    assert record is not None
    assert record.process is not None
    return record.process.pid


@pytest.mark.slow
def test_closing_the_run_stops_its_cells(cells: Cells, tmp_path: Path) -> None:
    long = [replace(cell, config=cell.config.with_changes({"budget": {"steps": 100_000}})) for cell in cells()[:3]]
    store = ResultsFolder(tmp_path)
    events = run_cells(long, place(store, 2), LocalBackend())
    while not isinstance(next(events), CellStarted):
        pass
    events.close()
    assert multiprocessing.active_children() == []
    states = [record.state for cell in long if (record := store.read_record(cell.id))]
    assert states
    assert set(states) == {"interrupted"}


@pytest.mark.slow
def test_closing_a_stopping_run_does_not_wait_for_processes(cells: Cells, tmp_path: Path) -> None:
    """A second Ctrl-C may come while the run is told about, not while it waits; the cell's process is halted."""
    cell, store, arguments = longer(cells()[0]), ResultsFolder(tmp_path), False
    events = run_cells([cell], place(store, 1), LocalBackend(), lambda: arguments)
    while not isinstance(next(events), CellProgress):
        pass
    os.kill(pid_at(store, cell), signal.SIGSTOP)
    arguments = True
    events.close()
    assert multiprocessing.active_children() == []
