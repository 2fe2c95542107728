"""How long cells will take: from cells like them that are done, else from a second of training on noise."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.core.seeds import numpy_generator
from fdabench.engine.batches import Replacement
from fdabench.engine.precision import Precision
from fdabench.engine.rows import Examples
from fdabench.engine.sequential import Sequential
from fdabench.engine.workers import Crew, Training, Workers
from fdabench.models.base import initialised
from fdabench.optimizers.sgd import Sgd
from fdabench.results.store import RESULTS, Store, taken_apart
from fdabench.run.setting import budget_of
from fdabench.suite.cell import Cell

CALIBRATION_S = 1.0


class Kind(NamedTuple):
    """What the speed of a local step depends on most."""

    dataset: str
    model: str
    batch_size: int
    precision: Precision


def estimated_seconds(cells: Sequence[Cell], store: Store, jobs: int, catalogue: Catalogue = BUILT_IN) -> float:
    """Wall time of these cells on `jobs` processes of one thread. Calibrated: without evaluations."""
    kinds = {_kind(cell) for cell in cells}
    measured = _measured(cells, store)
    speeds = {kind: measured[kind] if kind in measured else _calibrated(kind, catalogue) for kind in kinds}
    steps = [budget_of(cell.config, catalogue) * cell.config["workers"] for cell in cells]
    work = [float(count) / speeds[_kind(cell)] for count, cell in zip(steps, cells, strict=True)]
    return max(sum(work) / max(1, min(jobs, len(cells))), max(work, default=0.0))


def _kind(cell: Cell) -> Kind:
    return Kind(*(cell.config[axis] for axis in Kind._fields))


def _measured(cells: Sequence[Cell], store: Store) -> Mapping[Kind, float]:
    """Worker steps per second of the cells that have a result, by kind."""
    speeds = defaultdict(list)
    for cell in cells:
        record = store.read_record(cell.id)
        if record is not None and record["state"] in RESULTS:
            with taken_apart(store.cell_dir(cell.id)):
                steps = record["steps"] * cell.config["workers"] * record["together"]
                speeds[_kind(cell)].append(steps / record["wall_s"])
    return {kind: median(found) for kind, found in speeds.items()}


def _calibrated(kind: Kind, catalogue: Catalogue) -> float:
    """Worker steps per second of one worker on noise of the right shape, by one thread."""
    data = catalogue.datasets[kind.dataset]
    # how fast a step is does not depend on the weights: a plan downloads none
    model = initialised(replace(catalogue.models[kind.model], pretrained=None), data.shape, data.classes, 0)
    x, y = torch.rand(kind.batch_size, *data.shape), torch.zeros(kind.batch_size, dtype=torch.int64)
    sampler = Replacement(np.arange(kind.batch_size), kind.batch_size, numpy_generator(0))
    training = Training(model, Sgd(lr=1e-3), Examples(x, y), Sequential, kind.precision)
    worker, threads = Workers(training, [Crew(model, [sampler], [0])]), torch.get_num_threads()
    torch.set_num_threads(1)
    worker.step()
    begun, steps = perf_counter(), 0
    while perf_counter() - begun < CALIBRATION_S:
        worker.step()
        steps += 1
    speed = steps / (perf_counter() - begun)
    torch.set_num_threads(threads)
    return speed
