"""Writes the run of a user's loop as a results folder, with the tables of a simulation and the engine `own-loop`."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from fdabench import __version__
from fdabench.accounting.costs import PAPER, EvalPoint, bytes_at, syncs_at
from fdabench.cell_config import BudgetConfig, CellConfig, ComponentConfig, EvalConfig
from fdabench.core.ledger import LedgerEntry
from fdabench.distributed.process_group import ProcessGroup
from fdabench.distributed.traffic_meter import CollectiveTraffic
from fdabench.errors import ResultError
from fdabench.experiment.environment import environment
from fdabench.experiment.recorder import ResultRow
from fdabench.own_loop.parameters import ModelRow
from fdabench.own_loop.settings import LoopLength, LoopStrategy
from fdabench.registry.registry import BUILT_IN
from fdabench.results.cell_record import OWN_LOOP, CellRecord, RunProcess
from fdabench.results.folder import ResultsFolder
from fdabench.results.suite_lock import LockedCell, SuiteLock
from fdabench.suite.cell import Cell
from fdabench.suite.components.use import locked_components, strategy_components

OWN = "own"
"""The name of the data and of their partition where the user gives none."""


@dataclass(frozen=True)
class RunDescription:
    """What reports call a run. Runs with the same description and other strategies are compared.

    Args:
        dataset, model: names; default: `own`, and the class of the model.
        partition: how the samples were divided over the ranks, as a name.
        batch_size: samples of one rank in one step.
        seed: pairs the runs of several strategies.
        targets: test accuracies that reports count bytes to.
        reference: whether the others are compared with this run.
    """

    dataset: str = OWN
    model: str = ""
    partition: str = OWN
    batch_size: int = 1
    seed: int = 0
    targets: tuple[float, ...] = ()
    reference: bool = False


class LoggedMetrics(NamedTuple):
    """An evaluation of the user's."""

    step: int
    test_accuracy: float
    test_loss: float
    train_accuracy: float
    train_loss: float
    wall_s: float


class LoopRecord(NamedTuple):
    """The tables of a session, its steps and its seconds."""

    ledger: Sequence[LedgerEntry]
    rounds: Sequence[ResultRow]
    trace: Sequence[ResultRow]
    metrics: Sequence[LoggedMetrics]
    traffic: Sequence[CollectiveTraffic]
    steps: int
    wall_s: float


class LoopSettings(NamedTuple):
    """What a session was made with."""

    strategy: LoopStrategy
    row: ModelRow
    optimizer: torch.optim.Optimizer
    group: ProcessGroup
    length: LoopLength


def write_run(folder: Path, description: RunDescription, loop: LoopSettings, record: LoopRecord) -> None:
    """Write the lock, the record and the tables of one run.

    Args:
        folder: the results folder. Runs of other loops in it stay.
        description: the names in reports.
        loop: what the run was made with.
        record: its tables.

    Raises:
        ResultError: the folder has the results of a suite, or cannot be written.
    """
    cell = Cell(_config(description, loop, record), loop.strategy.label, description.reference)
    store = ResultsFolder(folder)
    lock = _lock(store, description, cell)
    folder.mkdir(parents=True, exist_ok=True)
    store.write_lock(lock)
    tables = {
        "evals": [_evaluation(cell.id, measurement, record, loop) for measurement in record.metrics],
        "ledger": [asdict(entry) for entry in record.ledger],
        "rounds": record.rounds,
        "trace": record.trace,
        "partition": [{"worker": worker, "label": 0, "samples": 0} for worker in range(loop.group.size)],
    }
    if record.traffic:
        tables["traffic"] = [asdict(measurement) for measurement in record.traffic]
    store.write_tables(cell.id, tables, cell.canonical_json)
    store.write_record(_record(cell, loop, record))


def _config(description: RunDescription, loop: LoopSettings, record: LoopRecord) -> CellConfig:
    options = loop.optimizer.param_groups[0]
    lr = options.get("initial_lr", options.get("lr"))
    first = record.metrics[0].step if record.metrics else record.steps
    return CellConfig(
        dataset=description.dataset,
        model=description.model or type(loop.row.model).__name__.lower(),
        workers=loop.group.size,
        batch_size=description.batch_size,
        optimizer=ComponentConfig(type(loop.optimizer).__name__.lower(), {} if lr is None else {"lr": float(lr)}),
        partition=ComponentConfig(description.partition),
        precision="bf16" if loop.row.parameters[0].dtype == torch.bfloat16 else "fp32",
        strategy=loop.strategy.config,
        budget=BudgetConfig(steps=max(1, record.steps)),
        eval=EvalConfig(every_steps=max(1, first)),
        seed=description.seed,
    )


def _lock(store: ResultsFolder, description: RunDescription, cell: Cell) -> SuiteLock:
    """The lock of the folder with this run added; a run with the same configuration is replaced."""
    before = store.read_lock() if store.lock_path.exists() else None
    if before is not None and before.source != OWN_LOOP:
        raise ResultError(f"{store.root}: it has the results of the suite {before.suite!r}; save to another folder")
    other_cells = [] if before is None else [locked for locked in before.cell if locked.id != cell.id]
    cells = [*other_cells, cell.to_lock()]
    targets = sorted({*description.targets, *(before.targets if before else ())})
    return SuiteLock(
        fdabench=__version__,
        suite=_suite_name(store.root),
        description="Real runs of a training loop with fdabench.sync; seconds are measured, not modeled.",
        source=OWN_LOOP,
        seeds=sorted({locked.config.seed for locked in cells}),
        targets=targets,
        consecutive=1,
        comparison=">=",
        convention="paper",
        components=locked_components(_components(cells), BUILT_IN),
        cell=cells,
    )


def _components(cells: Sequence[LockedCell]) -> list[tuple[str, str]]:
    used = [pair for cell in cells for pair in strategy_components(cell.config.strategy, BUILT_IN)]
    return list(dict.fromkeys(used))


def _suite_name(root: Path) -> str:
    """A name that a lock may have, made from that of the folder."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", root.resolve().name).lstrip("._-")[:64] or OWN_LOOP


def _evaluation(cell_id: str, metrics: LoggedMetrics, record: LoopRecord, loop: LoopSettings) -> ResultRow:
    ledger, instant = pd.DataFrame(record.ledger), EvalPoint(metrics.step, True)
    syncs, epoch_steps = syncs_at(ledger, instant), loop.length.steps_per_epoch
    return {
        "cell_id": cell_id,
        "step": metrics.step,
        "epoch": nan if epoch_steps is None else metrics.step / epoch_steps,
        "round": syncs + 1,
        "syncs": syncs,
        "after_sync": True,
        **bytes_at(ledger, instant, loop.group.size, "paper").columns(PAPER),
        "test_accuracy": metrics.test_accuracy,
        "test_loss": metrics.test_loss,
        "train_loss": metrics.train_loss,
        "train_accuracy": metrics.train_accuracy,
        "estimate": nan,
        "variance": nan,
        "wall_s": metrics.wall_s,
    }


def _record(cell: Cell, loop: LoopSettings, record: LoopRecord) -> CellRecord:
    numbers: dict[str, int | float] = {"num_parameters": loop.row.size, "budget_steps": record.steps}
    strategy = loop.strategy.strategy
    numbers |= {key: float(getattr(strategy, key)) for key in ("theta", "period") if hasattr(strategy, key)}
    now = datetime.now(UTC)
    losses = [evaluation.test_loss for evaluation in record.metrics if evaluation.test_loss == evaluation.test_loss]
    return CellRecord(
        id=cell.id,
        state="diverged" if losses and not isfinite(losses[-1]) else "done",
        label=cell.label,
        attempts=1,
        started=datetime.fromtimestamp(now.timestamp() - record.wall_s, UTC).isoformat(timespec="seconds"),
        process=RunProcess(host=platform.node(), pid=os.getpid()),
        config=cell.config,
        resolved=numbers,
        environment=environment(loop.row.device),
        engine=OWN_LOOP,
        processes=loop.group.size,
        mean=loop.group.reduction,
        steps=record.steps,
        wall_s=record.wall_s,
        remarks=["a real run in a training loop with fdabench.sync"],
        ended=now.isoformat(timespec="seconds"),
    )
