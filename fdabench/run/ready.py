"""Whether cells can begin at all: their data is there and can be shared out. Before anything is written."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from fdabench.datasets import DATASETS
from fdabench.datasets.base import Data
from fdabench.errors import FdabenchError, TaskError, UsageError
from fdabench.run.environment import usable_cores
from fdabench.run.setting import samplers, split
from fdabench.suite.cell import Cell


def check_ready(cells: Sequence[Cell], data_root: Path) -> None:
    """
    Raises:
        TaskError: data is missing, or cells cannot be shared out; all that is wrong is in the message.
    """
    faults = []
    for name in dict.fromkeys(cell.config["dataset"] for cell in cells):
        mine = [cell for cell in cells if cell.config["dataset"] == name]
        try:
            faults += _unsharable(mine, DATASETS[name].load(data_root))
        except TaskError as error:
            faults.append(str(error))
    if faults:
        raise TaskError("\n".join(dict.fromkeys(faults)))


def _unsharable(cells: Sequence[Cell], data: Data) -> list[str]:
    axes = ("partition", "workers", "batch_size", "sampling", "last_batch", "seed")
    distinct = {json.dumps([cell.config[axis] for axis in axes]): cell for cell in cells}
    faults = []
    for cell in distinct.values():
        try:
            samplers(cell.config, split(cell.config, data))
        except FdabenchError as error:
            faults.append(f"{cell.title}: {error}")
    return faults


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


def default_jobs(device: torch.device) -> int:
    """A cell for each core; one at a time on an accelerator."""
    return usable_cores() if device.type == "cpu" else 1
