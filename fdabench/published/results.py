"""Reads the published numbers from the CSV files of this package, with names and units of fdabench."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from statistics import median
from typing import Literal, NamedTuple

Quantity = Literal["accuracy", "rounds", "bytes", "steps"]
PublishedRow = Mapping[str, str]

GB = 10**9
MODELS = {
    "LeNet-5": "lenet5",
    "VGG16*": "vgg16star",
    "DenseNet121": "densenet121",
    "DenseNet201": "densenet201",
    "ConvNeXtLarge": "convnext-large-imagenet",
}
"""The published name of a model -> its name in fdabench."""
FILE_ORDER, ROUND_ROBIN = "iid-file-order", "round-robin"
IID = (ROUND_ROBIN, FILE_ORDER)
"""The partitions that the logs call IID. Which of the two a run used depends on its date (see `iid_partition`)."""
PARTITIONS = {
    "Label0": "label(label=0)",
    "Label8": "label(label=8)",
    "60%": "sorted(fraction=0.6)",
}
"""The published name of a partition -> its label in fdabench."""
STRATEGIES = {
    "linear": "LinearFDA",
    "naive": "NaiveFDA",
    "sketch": "SketchFDA",
    "gm": "GM(max)",
    "synchronous": "Synchronous",
}
"""The name of a strategy in the logs -> its name in the paper."""
KINDS: Mapping[str, tuple[str, str]] = {
    "LinearFDA": ("fda", "linear"),
    "NaiveFDA": ("fda", "naive"),
    "SketchFDA": ("fda", "sketch"),
    "Synchronous": ("synchronous", ""),
    "FedAdam": ("fedadam", ""),
    "FedAvgM": ("fedavgm", ""),
}
"""The name of a strategy in the paper -> the kinds of its counterpart in fdabench and of the monitor.

Cells are matched with published numbers by kinds and not by display names, since plug-ins choose display names freely.
"""
_COSTS: tuple[tuple[Quantity, str, int], ...] = (("bytes", "gb", GB), ("steps", "steps", 1), ("rounds", "rounds", 1))
"""Quantity, beginning of its column names in `cost_to_target.csv`, and unit."""


class PaperGrid(NamedTuple):
    """A row of Table 1 of the paper: what each model was trained on, with which numbers of workers and which thetas."""

    dataset: str
    workers: tuple[int, ...]
    thetas: tuple[float, ...]


GRIDS: Mapping[str, PaperGrid] = {
    "lenet5": PaperGrid("mnist", tuple(range(5, 61, 5)), (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0)),
    "vgg16star": PaperGrid("mnist", tuple(range(5, 61, 5)), (20.0, 25.0, 30.0, 50.0, 75.0, 90.0, 100.0)),
    "densenet121": PaperGrid("cifar10", tuple(range(5, 31, 5)), (200.0, 250.0, 275.0, 300.0, 325.0, 350.0, 400.0)),
    "densenet201": PaperGrid("cifar10", tuple(range(5, 31, 5)), (350.0, 500.0, 600.0, 700.0, 800.0, 850.0, 900.0)),
    "convnext-large-imagenet": PaperGrid("cifar100", (3, 5), (25.0, 50.0, 100.0, 150.0)),
}
"""The model in fdabench -> its row of Table 1."""


def published_name(strategy: str, monitor: str) -> str:
    """Return the paper's name of a strategy with a monitor; empty if the paper does not have it.

    Args:
        strategy: the kind of the strategy.
        monitor: the kind of its monitor; empty if it has none.

    >>> published_name("fda", "sketch")
    'SketchFDA'
    """
    return next((name for name, kinds in KINDS.items() if kinds == (strategy, monitor)), "")


def iid_partition(model: str, strategy: str) -> str:
    """Return the partition of the published runs that are called IID.

    The authors' code assigned samples round robin until November 2023, when LeNet-5 and most of VGG16* were run. The
    runs of FedAdam and on CIFAR are later and use blocks in file order.

    Args:
        model: its name in fdabench.
        strategy: its name in the paper.
    """
    return ROUND_ROBIN if model in ("lenet5", "vgg16star") and strategy != "FedAdam" else FILE_ORDER


class PublishedSetting(NamedTuple):
    """The setting of a published number. `epoch` or `target` is given, not both.

    `workers` and `theta` are None if the number is over the whole grid of the paper. `theta` is also None for a
    strategy without a threshold.
    """

    model: str
    partition: str
    strategy: str
    workers: int | None
    theta: float | None
    epoch: int | None
    target: float | None


@dataclass(frozen=True)
class PublishedResult:
    """A published number, with its range over runs.

    Accuracies are fractions, bytes are of all workers, steps are of each worker, and rounds are syncs + 1. `value` is
    the median over the runs that reached the target, or NaN if none did. `low` and `high` are their minimum and
    maximum.
    """

    axes: PublishedSetting
    quantity: Quantity
    value: float
    low: float
    high: float
    reached: int
    """The number of runs that reached the target."""
    runs: int
    """The number of all runs."""
    source: str

    @property
    def over_grid(self) -> bool:
        """Whether the number is over the whole grid of the paper."""
        return self.axes.workers is None


@cache
def published() -> tuple[PublishedResult, ...]:
    """Return all published numbers: at nominal epochs, of single settings, and over the grid. They are read once."""
    return (*_at_epochs(), *_of_settings(), *_over_grid())


def _rows(name: str) -> list[PublishedRow]:
    text = files("fdabench.published").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _axes(row: PublishedRow) -> PublishedSetting:
    workers, theta, epoch, target = (row.get(key) for key in ("workers", "theta", "epoch", "target"))
    model = MODELS.get(row["model"], row["model"])
    strategy = STRATEGIES.get(row["strategy"], row["strategy"])
    return PublishedSetting(
        model,
        iid_partition(model, strategy) if row["data"] == "IID" else PARTITIONS[row["data"]],
        strategy,
        int(workers) if workers else None,
        float(theta) if theta else None,
        int(epoch) if epoch else None,
        float(target) if target else None,
    )


def _at_epochs() -> Iterator[PublishedResult]:
    """Yield accuracy and rounds at nominal epochs. A setting that was run twice has the median as its value."""
    for axes, group in groupby(sorted(_rows("nominal_epochs.csv"), key=_order), _axes):
        runs = list(group)
        source = f"authors' logs, nominal epoch {axes.epoch}"
        yield _fact(axes, "accuracy", (float(run["accuracy"]) for run in runs), source)
        yield _fact(axes, "rounds", (float(run["rounds"]) for run in runs), source)


def _order(row: PublishedRow) -> tuple[str, str, str, int, float, int]:
    axes = _axes(row)
    return axes.model, axes.partition, axes.strategy, axes.workers or 0, axes.theta or 0.0, axes.epoch or 0


def _of_settings() -> Iterator[PublishedResult]:
    for row in _rows("cost_of_settings.csv"):
        yield _fact(_axes(row), "bytes", [float(row["gb"]) * GB], "Figure 6")
        yield _fact(_axes(row), "steps", [float(row["steps"])], "Figure 6")


def _fact(axes: PublishedSetting, quantity: Quantity, values: Iterable[float], source: str) -> PublishedResult:
    numbers = list(values)
    return PublishedResult(
        axes, quantity, median(numbers), min(numbers), max(numbers), len(numbers), len(numbers), source
    )


def _over_grid() -> Iterator[PublishedResult]:
    for row in _rows("cost_to_target.csv"):
        axes, reached, runs = _axes(row), int(row["runs_reached"]), int(row["runs_total"])
        source = "authors' logs, all K and theta"
        for quantity, column, unit in _COSTS:
            low, middle, high = (_number(row.get(f"{column}_{which}", "")) for which in ("min", "median", "max"))
            yield PublishedResult(axes, quantity, middle * unit, low * unit, high * unit, reached, runs, source)


def _number(text: str) -> float:
    return float(text) if text else math.nan
