"""Whether cells can begin at all: data and weights are there, and can be shared out. Before anything is written."""

import json
from collections.abc import Mapping, Sequence

import torch

from fdabench.catalogue.fit import not_finite
from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.catalogue.tried import tried
from fdabench.datasets.base import Data
from fdabench.engine.batches import Indices
from fdabench.engine.choice import ENGINES, engine_on
from fdabench.errors import FdabenchError, TaskError, UsageError, nearest
from fdabench.run.environment import usable_cores
from fdabench.run.setting import samplers, seeds_of, split
from fdabench.suite.cell import Cell

WORKERS_THAT_FILL_AN_ACCELERATOR = 256


def check_ready(
    cells: Sequence[Cell],
    data: Mapping[str, Data],
    device: torch.device,
    catalogue: Catalogue = BUILT_IN,
    processes: int = 1,
) -> None:
    """Whether they can begin, each in so many processes.

    Raises:
        TaskError: cells cannot be shared out, or not be computed as asked, or weights are missing; all that is wrong is
            in the message.
    """
    faults = [fault for name in data for fault in _unsharable(_with("dataset", name, cells), data[name], catalogue)]
    faults += _without_weights(cells, catalogue)
    faults += _without_numbers(cells, data, catalogue)
    if device.type != "cuda" and _with("precision", "tf32", cells):
        faults.append("precision = 'tf32' needs a CUDA device; on a CPU there are 'fp32' and 'bf16'")
    few = sorted({cell.config["workers"] for cell in cells if cell.config["workers"] < processes})
    faults += [f"workers = {workers} cannot be shared out over {processes} processes" for workers in few]
    if faults:
        raise TaskError("\n".join(dict.fromkeys(faults)))


def _with(axis: str, value: str, cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.config[axis] == value]


def _unsharable(cells: Sequence[Cell], data: Data, catalogue: Catalogue) -> list[str]:
    axes = ("partition", "workers", "batch_size", "sampling", "last_batch", "seed")
    distinct = {json.dumps([cell.config[axis] for axis in axes]): cell for cell in cells}
    faults = []
    for cell in distinct.values():
        try:
            shards = _shared_out(cell, data, catalogue)
            samplers(cell.config, shards)
        except FdabenchError as error:
            faults.append(f"{cell.title}: {error}")
    return faults


def _shared_out(cell: Cell, data: Data, catalogue: Catalogue) -> list[Indices]:
    kind = cell.config["partition"]["kind"]
    plugin = catalogue.plugin_of("partitions", kind)
    if plugin is None:
        return split(cell.config, data, catalogue)
    return tried(plugin, f"partition {kind!r}: split", lambda: split(cell.config, data, catalogue))


def _without_weights(cells: Sequence[Cell], catalogue: Catalogue) -> list[str]:
    """Pretrained weights are fetched once here, not by every process at the same time."""
    faults = []
    for name in dict.fromkeys(cell.config["model"] for cell in cells):
        fetch = catalogue.models[name].pretrained
        try:
            _ = fetch() if fetch is not None else None
        except TaskError as error:
            faults.append(str(error))
    return faults


def _without_numbers(cells: Sequence[Cell], data: Mapping[str, Data], catalogue: Catalogue) -> list[str]:
    pairs = {(cell.config["model"], cell.config["dataset"]): cell for cell in cells}
    return [
        fault
        for (model, name), cell in pairs.items()
        if name in data
        for fault in not_finite(
            model, data[name].test_x, data[name].classes, seeds_of(cell.config)["weights"], catalogue
        )
    ]


def parse_device(text: str) -> torch.device:
    """
    Raises:
        UsageError: no such device here.
    """
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = text.partition(":")
    if text != "cpu" and (kind != "cuda" or (index and not index.isdigit())):
        raise UsageError(f"--device {text}: expected auto, cpu, cuda or cuda:0")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {text}: {torch.cuda.device_count()} CUDA devices here")
    return torch.device(text)


def parse_engine(text: str, device: torch.device) -> str:
    """
    Raises:
        UsageError: no such engine.
    """
    if text not in (names := ("auto", *ENGINES)):
        raise UsageError(f"--engine {text}: expected {', '.join(names)} or distributed{nearest(text, names)}")
    return engine_on(text, device)


def default_jobs(device: torch.device, processes: int = 1) -> int:
    """A process for each core, where each cell takes so many; one cell at a time on an accelerator."""
    return max(1, usable_cores() // processes) if device.type == "cpu" else 1


def default_together(device: torch.device, cells: Sequence[Cell]) -> int:
    """Cells whose workers make one matrix: what fills an accelerator; a CPU is fastest with one."""
    most = max((cell.config["workers"] for cell in cells), default=1)
    return 1 if device.type == "cpu" else max(1, WORKERS_THAT_FILL_AN_ACCELERATOR // most)
