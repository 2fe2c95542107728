"""Cells that advance as rows of one matrix, and the data that their processes share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pytest
import torch

from fdabench.datasets.base import DatasetTensors
from fdabench.engine.gradients.selection import ENGINES
from fdabench.errors import WorkloadError
from fdabench.execution.preflight import default_cells_per_batch
from fdabench.execution.scheduler import batch_cells, estimated_work
from fdabench.execution.shared_data import export_datasets, load_datasets, mmap_loader
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.results.folder import ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.strategies.fedavg import FedAvg
from fdabench.suite.cell import Cell
from support.cells import load_dataset, train_cell

Cells = Callable[..., list[Cell]]
CPU = torch.device("cpu")


def tables(done: TrainingResult) -> dict[str, pd.DataFrame]:
    return {
        name: pd.DataFrame(rows).drop(columns=[*CLOCK_COLUMNS, "cell_id"], errors="ignore")
        for name, rows in done.tables.items()
    }


def side_by_side(cells: list[Cell], engine: str) -> list[Any]:
    return train_cells(
        [CellJob(cell.id, ResolvedCell(cell.config)) for cell in cells], load_dataset(cells[0].config), ENGINES[engine]
    )


@pytest.fixture
def mixed(cells: Cells) -> list[Cell]:
    """Every strategy, two seeds, and one cell that ends early."""
    actual = cells("seeds=[0, 1]")
    short = actual[0].config.with_changes({"budget": {"steps": 5}})
    return [replace(actual[0], config=short), *actual[1:]]


def test_batched_cells_equal_separate_cells(mixed: list[Cell]) -> None:
    """Bitwise, with the engine of a CPU: each has its strategy, ledger, monitor and end."""
    for cell, done in zip(mixed, side_by_side(mixed, "sequential"), strict=True):
        alone = train_cell(cell.config)
        assert (done.state, done.steps) == (alone.state, alone.steps)
        for name, table in tables(done).items():
            pd.testing.assert_frame_equal(table, tables(alone)[name], check_exact=True)


def test_the_vectorized_engine_gives_equal_batched_cells_up_to_rounding(mixed: list[Cell]) -> None:
    for cell, done in zip(mixed, side_by_side(mixed, "vectorized"), strict=True):
        alone = train_cell(cell.config)
        for name, table in tables(done).items():
            pd.testing.assert_frame_equal(table, tables(alone)[name], rtol=1e-4, atol=1e-5)


def test_a_failed_strategy_does_not_fail_the_other_cells_of_its_batch(
    mixed: list[Cell], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*arguments: Any) -> NoReturn:
        raise ZeroDivisionError("the strategy is broken")

    monkeypatch.setattr(FedAvg, "step", broken)
    machine = ExecutionContext(ExecutionConfig(CPU, "sequential"), lambda name: load_datasets([name], tmp_path)[name])
    records = run_cells_batched(mixed, ResultsFolder(tmp_path / "results"), machine, CellCallbacks())
    states = {(record.label, record.state) for record in records}
    assert {label for label, state in states if state == "failed"} == {"FedAvg", "FedAvgM", "FedAdam"}
    assert {state for label, state in states if not label.startswith("Fed")} == {"done"}
    assert all(record.together == len(mixed) for record in records)


def test_cells_that_do_not_fit_together_are_run_one_by_one(
    cells: Cells, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def small(jobs: list[CellJob], *arguments: Any, **options: Any) -> Any:
        if len(jobs) > 1:
            raise torch.OutOfMemoryError("no room for so many")
        return train_cells(jobs, *arguments, **options)

    monkeypatch.setattr("fdabench.experiment.run_cell.train_cells", small)
    machine = ExecutionContext(ExecutionConfig(CPU, "sequential"), lambda name: load_datasets([name], tmp_path)[name])
    records = run_cells_batched(cells()[:3], ResultsFolder(tmp_path / "results"), machine, CellCallbacks())
    assert [(record.state, record.together) for record in records] == [("done", 1)] * 3


def test_only_cells_with_one_model_and_optimizer_share_a_matrix(cells: Cells) -> None:
    equal, other, bigger = cells(), cells("workload.optimizer.lr=0.1"), cells("workload.batch_size=8")
    groups = batch_cells([*equal, *other, *bigger], 4)
    assert sorted(len(group) for group in groups) == [1] * 3 + [4] * 6
    shared = [{(c.config.batch_size, c.config.optimizer.parameters["lr"]) for c in group} for group in groups]
    assert all(len(item) == 1 for item in shared)
    assert sorted(cell.id for group in groups for cell in group) == sorted(c.id for c in [*equal, *other, *bigger])


def test_the_longest_cell_is_first(cells: Cells) -> None:
    quick, slow, wide = cells()[0], cells("budget.steps=48")[0], cells("workload.workers=30")[0]
    assert sorted([quick, wide, slow], key=estimated_work, reverse=True) == [wide, slow, quick]
    assert batch_cells([quick, wide, slow], 1) == [[wide], [slow], [quick]]


def test_the_default_batch_has_one_cell_on_a_cpu_and_several_on_an_accelerator(cells: Cells) -> None:
    assert default_cells_per_batch(CPU, cells()) == 1
    assert default_cells_per_batch(torch.device("cuda"), cells("workload.workers=60")) == 4
    assert default_cells_per_batch(torch.device("cuda"), cells("workload.workers=1000")) == 1


def test_shared_data_equal_the_original_data(tmp_path: Path) -> None:
    loaded = load_datasets(["digits"], tmp_path)
    with export_datasets(loaded) as folder:
        shared = mmap_loader(folder, CPU)("digits")
        assert folder.exists()
    assert not folder.exists()
    for name, value in vars(loaded["digits"]).items():
        actual = getattr(shared, name)
        assert torch.equal(actual, value) if isinstance(value, torch.Tensor) else actual == value
    assert shared.train_x.stride() == loaded["digits"].train_x.stride()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's map of a process's memory")
def test_shared_data_are_mapped_and_not_copied(tmp_path: Path) -> None:
    big = DatasetTensors(
        torch.ones(20_000, 1, 28, 28), torch.zeros(20_000), torch.ones(1, 1, 28, 28), torch.zeros(1), 1
    )
    with export_datasets({"big": big}) as folder:
        shared = mmap_loader(folder, CPU)("big")
        assert shared.train_x.sum() == 20_000 * 784
        lines = Path("/proc/self/smaps").read_text().split("big.pt\n")[1].splitlines()
        resident, own = (
            next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
            for field in ("Rss", "Anonymous")
        )
        assert resident >= 20_000 * 784 * 4 // 1024
        assert own == 0


def test_a_full_disk_for_the_data_is_reported_with_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*arguments: Any) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with (
        pytest.raises(WorkloadError, match=r"the data cannot be written to .*No space left.*; set TMPDIR"),
        export_datasets(load_datasets(["digits"], tmp_path)),
    ):
        pass


def test_cells_with_a_schedule_share_a_batch_only_with_the_same_budget(cells: Cells) -> None:
    """The learning rate of a step depends on the budget."""
    scheduled = 'workload.optimizer={kind = "sgd", lr = 0.1, schedule = "linear"}'
    short, long = cells(scheduled, "budget.steps=6"), cells(scheduled, "budget.steps=12")
    groups = batch_cells([*short, *long], 4)
    assert all(len({cell.config.budget.steps for cell in group}) == 1 for group in groups)
    plain = 'workload.optimizer={kind = "sgd", lr = 0.1}'
    mixed = batch_cells([*cells(plain, "budget.steps=6")[:1], *cells(plain, "budget.steps=12")[:1]], 4)
    assert [len(group) for group in mixed] == [2]
