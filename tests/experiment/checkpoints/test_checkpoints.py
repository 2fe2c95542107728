"""A cell that is stopped at any step resumes to the same bits, with all strategies, optimizers and engines."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.models import MODELS
from fdabench.models.base import Flatten, ModelSpec
from fdabench.models.dropout import Dropout
from fdabench.monitors import MONITORS
from fdabench.results.folder import ResultsFolder
from fdabench.strategies import STRATEGIES
from fdabench.suite.cell import Cell
from support.cells import STATEFUL
from support.checkpoints.runs import STEPS, assert_resumes, assert_same, execution_context, run_cells

Cells = Callable[..., list[Cell]]
KINDS = ["Synchronous", "DDP", "FedAvg", "FedAdam", "FedAvgM", "NaiveFDA", "LinearFDA", "SketchFDA", "ExactFDA"]


def all_kinds(cells: Cells) -> list[Cell]:
    """The tiny suite's, one that averages gradients, clips and has a schedule, and those of STATEFUL."""
    actual, warmup = cells(), {"kind": "constant", "warmup": 0.5, "warmup_steps": 0}
    local = actual[0].config.optimizer.to_table() | {"schedule": warmup, "clip": 0.5}
    ddp = actual[0].config.with_changes({"strategy": {"kind": "ddp"}, "optimizer": local})
    configs = {"DDP": ddp} | {key: actual[0].config.with_changes({"strategy": STATEFUL[key]}) for key in STATEFUL}
    return [*actual, *(replace(actual[0], config=config, label=label) for label, config in configs.items())]


def test_every_strategy_and_monitor_is_tested(cells: Cells) -> None:
    actual = [cell.config.strategy for cell in all_kinds(cells)]
    assert {STRATEGIES[strategy.kind].step for strategy in actual} == {cls.step for cls in STRATEGIES.values()}
    assert {monitor.kind for strategy in actual if (monitor := strategy.component("monitor"))} == set(MONITORS)
    assert {cell.label.split(" ")[0] for cell in all_kinds(cells)} == {*KINDS, *STATEFUL}


@pytest.mark.parametrize("kind", [*KINDS, *STATEFUL])
def test_a_cell_stopped_at_every_single_step_is_the_same_cell(cells: Cells, tmp_path: Path, kind: str) -> None:
    """So at every sync, at every evaluation, and between them."""
    (cell, *_) = [cell for cell in all_kinds(cells) if cell.label.split(" ")[0] == kind]
    assert_resumes([cell], tmp_path, "sequential", [1] * (STEPS - 1))


@pytest.mark.cuda
def test_cells_on_a_gpu_resume_to_the_same_bits(cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side in one matrix, whose steps are CUDA graphs from the third one on."""
    cuda, digits = torch.device("cuda"), load_datasets(["digits"], Path("no-data"))["digits"]
    on_cuda = ExecutionContext(ExecutionConfig(cuda, "vectorized", checkpoint_s=3600.0), lambda _: digits.to(cuda))
    monkeypatch.setattr("support.checkpoints.runs.execution_context", lambda engine: on_cuda)
    assert_resumes(all_kinds(cells), tmp_path, "vectorized", [1, 4, 9])


class Small(NamedTuple):
    """A model with every kind of state."""

    shape: tuple[int, ...] = (1, 8, 8)

    def __call__(self, shape: Any, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), Flatten(), Dropout(0.3), nn.Linear(144, classes)
        )


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with dropout and batch normalization, under the name of the multilayer perceptron."""
    monkeypatch.setitem(MODELS, "mlp", ModelSpec(Small(), None, ""))  # type: ignore[index]
    monkeypatch.setattr("fdabench.experiment.run_cell.code_hashes", lambda config, registry: {})


SGD = "workload.optimizer={kind = 'sgd', lr = 0.05, momentum = 0.9, nesterov = true, state_on_sync = 'average'}"
VARIANTS = {
    "adam": [],
    "adam reset": ["workload.optimizer.state_on_sync=reset"],
    "adam averaged": ["workload.optimizer.state_on_sync=average"],
    "momentum": [SGD],
    "plain sgd": ["workload.optimizer={kind = 'sgd', lr = 0.05}"],
    "adamw, replacement": ["workload.optimizer={kind = 'adamw', lr = 1e-3}", "workload.sampling=replacement"],
    "small batches": ["workload.last_batch=keep", "workload.batch_size=100"],
    "statistics averaged": ["workload.batchnorm_stats=averaged"],
}


@pytest.mark.parametrize("engine", ["sequential", "vectorized"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.usefixtures("forgetful")
def test_optimizers_samplers_statistics_and_masks_are_resumed(
    cells: Cells, tmp_path: Path, variant: str, engine: str
) -> None:
    """LinearFDA stays local for a while; its first stop is within a round, its second at a sync of FedAvg's."""
    actual = {cell.label.split(" ")[0]: cell for cell in cells(*VARIANTS[variant], "strategy.1.local_steps=5")}
    assert_resumes([actual["LinearFDA"]], tmp_path / "fda", engine, [3, 4])
    assert_resumes([actual["FedAvg"]], tmp_path / "fedavg", engine, [5, 5])


@pytest.mark.parametrize("engine", ["sequential", "vectorized"])
def test_cells_of_one_matrix_are_resumed_together_and_separately(cells: Cells, tmp_path: Path, engine: str) -> None:
    """Also beside one that has not begun and one that is done."""
    actual = cells()
    whole, broken, on = ResultsFolder(tmp_path / "whole"), ResultsFolder(tmp_path / "broken"), execution_context(engine)
    for group in (actual[:4], [actual[4]], [actual[5]]):
        run_cells(group, whole, on)
    assert_resumes(actual[:4], tmp_path / "group", engine, [5])
    assert_same(whole, ResultsFolder(tmp_path / "group" / "broken"), actual[:4])
    run_cells([actual[4]], broken, on, 9)
    records = run_cells([actual[5], actual[4]], broken, on)
    assert [(record.resumed_at_step, record.together) for record in records] == [(0, 1), (9, 1)]
    assert_same(whole, broken, actual[4:6])


def test_checkpoints_are_written_at_intervals_of_time_and_change_no_bit(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time between them, one after each step; the last one is what is left when the process goes at once."""
    monkeypatch.setattr("fdabench.experiment.checkpoint.file.MAX_TIME_SHARE", float("inf"))
    cell, whole, killed = cells()[4], ResultsFolder(tmp_path / "whole"), ResultsFolder(tmp_path / "killed")
    run_cells([cell], whole, execution_context())
    calls = 0

    def dies() -> bool:
        nonlocal calls
        calls += 1
        if calls == 11:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run_cells_batched([cell], killed, execution_context(every_s=0.0), CellCallbacks(should_stop=dies))
    record = killed.read_record(cell.id)
    assert record is not None
    assert (record.state, record.attempts) == ("interrupted", 1)
    (record,) = run_cells([cell], killed, execution_context(every_s=0.0))
    assert (record.state, record.attempts, record.resumed_at_step) == ("done", 2, 10)
    assert_same(whole, killed, [cell])


def test_writing_takes_little_time(cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the time between checkpoints is said to be."""
    written: list[float] = []
    clock = iter(range(0, 10**9, 1))
    monkeypatch.setattr("fdabench.experiment.checkpoint.file.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(
        "fdabench.experiment.checkpoint.file.atomic_write", lambda path, write: written.append(next(clock))
    )
    (record,) = run_cells(
        cells("budget.steps=400", "eval.every_steps=400")[:1], ResultsFolder(tmp_path), execution_context(every_s=1.0)
    )
    assert record.state == "done"
    assert len(written) == 2, "each took two ticks of a clock that is looked at once a step, so 200 go by"


def test_the_wall_time_of_a_cell_is_the_sum_over_its_attempts(cells: Cells, tmp_path: Path) -> None:
    cell, store = cells()[0], ResultsFolder(tmp_path)
    (first,) = run_cells([cell], store, execution_context(), 12)
    (second,) = run_cells([cell], store, execution_context())
    assert 0 < first.wall_s < second.wall_s
    clock = store.read_cell_table(cell.id, "evals").to_pandas()["wall_s"]
    assert clock.is_monotonic_increasing
    assert clock.iloc[0] < first.wall_s < clock.iloc[-1] <= second.wall_s


def test_a_cell_stopped_at_its_last_step_is_done(cells: Cells, tmp_path: Path) -> None:
    assert run_cells(cells()[:1], ResultsFolder(tmp_path), execution_context(), STEPS)[0].state == "done"


def test_a_full_disk_for_a_checkpoint_is_a_warning_and_the_cell_continues(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fdabench.experiment.checkpoint.file.write", full)
    (record,) = run_cells(cells()[:1], ResultsFolder(tmp_path), execution_context(every_s=0.0))
    assert record.state == "done"
    assert "no checkpoint: " in record.remarks[0]
    assert "No space left on device" in record.remarks[0]
    assert {path.suffix for path in ResultsFolder(tmp_path).cell_dir(record.id).iterdir()} == {".json", ".parquet"}
