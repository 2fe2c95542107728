"""Whole cells, as `fdabench run` runs them: what evaluation and logging cost, and two cells at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import torch
from cases import BATCH, noise

import fdabench.experiment.recorder as recorder
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.execution.backend import RunContext
from fdabench.execution.events import CellFinished, CellStarted
from fdabench.execution.local_backend import LocalBackend
from fdabench.execution.scheduler import run_cells
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, train_cells
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite

SUITE = """
    name = "whole"
    seeds = [0, 1]
    budget = {{ epochs = {epochs} }}
    eval = {{ every_epochs = {every} }}
    [[workload]]
    dataset = "mnist"
    model = "lenet5"
    workers = 10
    batch_size = 32
    optimizer = {{ kind = "sgd", lr = 0.01 }}
    [[strategy]]
    {strategy}
"""
FEDAVG = 'kind = "fedavg"\n    local_epochs = 1'
SKETCH = 'kind = "fda"\n    monitor = "sketch"\n    theta = 1.0'


class Spent(NamedTuple):
    """Seconds of a cell, by what they were spent on."""

    training: float
    evaluation: float
    logging: float


def cells_of(strategy: str, epochs: int, every: int) -> list[Cell]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "whole.toml"
        path.write_text(SUITE.format(strategy=strategy, epochs=epochs, every=every), encoding="utf-8")
        return list(read_suite(path).cells)


def spent(epochs: int) -> Spent:
    """A cell of SketchFDA that is evaluated every nominal epoch, its tables written."""
    disable_malloc_trim()
    torch.set_num_threads(1)
    cell, data = cells_of(SKETCH, epochs, 1)[0], noise("lenet5")
    with (
        _clock(recorder, "score") as scoring,
        _clock(recorder, "model_variance") as variance,
        _clock(recorder.Recorder, "sees") as recording,
        TemporaryDirectory() as folder,
    ):
        start = perf_counter()
        (done,) = train_cells([CellJob(cell.id, ResolvedCell(cell.config))], data)
        ended = perf_counter()
        if isinstance(done, Exception):
            raise done
        ResultsFolder(Path(folder)).write_tables(cell.id, done.tables, cell.canonical_json)
        writing = perf_counter() - ended
    measured = scoring[0] + variance[0]
    return Spent(ended - start - recording[0], measured, recording[0] - measured + writing)


@contextmanager
def _clock(owner: Any, name: str) -> Iterator[list[float]]:
    """Takes the time of a function for as long as this lasts."""
    original: Callable[..., Any] = getattr(owner, name)
    total = [0.0]

    def timed(*arguments: Any) -> Any:
        start = perf_counter()
        try:
            return original(*arguments)
        finally:
            total[0] += perf_counter() - start

    setattr(owner, name, timed)
    try:
        yield total
    finally:
        setattr(owner, name, original)


def rate(jobs: int, epochs: int) -> float:
    """Worker samples per second of two cells of FedAvg with one local epoch, evaluated once at their end."""
    cells = cells_of(FEDAVG, epochs, epochs)
    with TemporaryDirectory() as folder:
        place = RunContext(
            ResultsFolder(Path(folder)),
            {"mnist": noise("lenet5")},
            ExecutionConfig(torch.device("cpu"), "sequential", jobs),
        )
        events = [
            (event, perf_counter())
            for event in run_cells(cells, place, LocalBackend())
            if isinstance(event, CellStarted | CellFinished)
        ]
    samples: int = sum(event.record.steps for event, _ in events if isinstance(event, CellFinished)) * 10 * BATCH
    return float(samples / (events[-1][1] - events[0][1]))
