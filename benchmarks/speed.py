"""How fast fdabench is: every figure as a ratio to a floor, a plain PyTorch loop, measured in the same run.

    python benchmarks/speed.py [--others] [--quick] [--json FILE]

Prints tables in markdown. With --others also the frameworks of `others.py`, which are installed first.
"""

import json
import platform
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from cases import Case, Timing
from growth import growth
from others import ENVS, Measurement, measure
from stand import timings
from whole import rate, spent

from fdabench.experiment.environment import device_name, usable_cores

STRATEGIES = ("synchronous", "fedavg", "fedavgm", "fedadam", "fda-naive", "fda-linear", "fda-exact", "fda-sketch")
SIZES = (("lenet5", 5), ("lenet5", 10), ("lenet5", 60), ("cnn", 10), ("vgg16star", 5), ("gpt-nano", 5))
Row = dict[str, Any]
Timings = Mapping[Case, list[Timing]]


def engines(repeats: int, seconds: float) -> list[Row]:
    """The engine alone, for models and numbers of workers; and what else it can be asked for."""
    floors = [Case("floor", *size) for size in SIZES]
    own = [Case("engine", *size) for size in SIZES]
    more = [Case("engine", "lenet5", 10, engine="vectorized"), Case("engine", "vgg16star", 5, precision="bf16")]
    actual = timings([*floors, *own, *more], repeats, seconds)
    return [_against_floor(case, actual) for case in (*own, *more)]


def strategies(model: str, workers: int, repeats: int, seconds: float) -> list[Row]:
    """The whole loop with each strategy; FDA's never synchronize, so that their share is the monitoring."""
    floor, own = Case("floor", model, workers), [Case(what, model, workers) for what in STRATEGIES]
    actual = timings([floor, *own], repeats, seconds)
    return [_against_floor(case, actual) | {"added": _added(actual[case])} for case in own]


def _against_floor(case: Case, actual: Timings) -> Row:
    rates, floors = ([timing.rate for timing in actual[item]] for item in (case, _floor(case)))
    ratios = [own / floor for own, floor in zip(rates, floors, strict=True)]
    return {**case._asdict(), "samples_per_s": median(rates), "floor": median(floors), "ratio": median(ratios)}


def _floor(case: Case) -> Case:
    return Case("floor", case.model, case.workers)


def _added(actual: Sequence[Timing]) -> float:
    """Time within the strategy as a part of the rest of the step."""
    return median(timing.inside_s / (timing.seconds - timing.inside_s) for timing in actual)


def whole_cells(repeats: int, epochs: int) -> list[Row]:
    """Evaluation and logging of a cell, and two cells by one and by two processes."""
    parts = [spent(epochs) for _ in range(repeats)]
    pairs = [(rate(1, epochs), rate(2, epochs)) for _ in range(repeats)]
    gain = median(two / one for one, two in pairs)
    return [
        {"what": "evaluation", "of_training": median(part.evaluation / part.training for part in parts)},
        {"what": "logging", "of_training": median(part.logging / part.training for part in parts)},
        {"what": "--jobs 1", "samples_per_s": median(one for one, _ in pairs), "ratio": 1.0},
        {"what": "--jobs 2", "samples_per_s": median(two for _, two in pairs), "ratio": gain},
    ]


def others(repeats: int) -> list[Row]:
    return [_row(actual) for actual in measure(ENVS, repeats)]


def _row(actual: Measurement) -> Row:
    rate_of = median(actual.samples_per_s) if actual.samples_per_s else None
    what = f"{actual.framework} {actual.version}"
    return {
        "what": what,
        "work": actual.work,
        "processes": actual.processes,
        "samples_per_s": rate_of,
        "why": actual.reason,
    }


def markdown(title: str, rows: Sequence[Row]) -> Iterator[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    yield f"\n### {title}\n"
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_cell(row.get(column)) for column in columns)} |"


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> Row:
    return {
        "processor": device_name(torch.device("cpu")),
        "cores": usable_cores(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def main() -> None:
    """The command line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--others", action="store_true", help="also pfl-research and Flower")
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    repeats, seconds, epochs = (2, 0.3, 1) if arguments.quick else (7, 2.0, 4)
    tables = {"Machine": [machine()]}
    tables["Engine against the floor"] = engines(repeats, seconds)
    tables["Strategies, LeNet-5, K = 10"] = strategies("lenet5", 10, repeats, seconds)
    tables["Strategies, VGG16*, K = 5"] = strategies("vgg16star", 5, 2, 2 * seconds)
    tables["Strategies, gpt-nano, K = 5"] = strategies("gpt-nano", 5, repeats, seconds)
    tables["Whole cells, LeNet-5, K = 10"] = whole_cells(2 if arguments.quick else 3, epochs)
    if arguments.others:
        tables["Other frameworks, LeNet-5, K = 10"] = others(2 if arguments.quick else 3)
    tables["Growth"] = growth()
    for title, rows in tables.items():
        print(*markdown(title, rows), sep="\n", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
