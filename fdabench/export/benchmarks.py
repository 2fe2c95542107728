"""`--to github-benchmark` and `--to bencher`: costs to the headline target, for services that keep their history.

github-action-benchmark reads a list of `name`, `unit`, `value`, `range` and `extra` with `tool: customSmallerIsBetter`.
Bencher reads `{benchmark: {measure: {value, lower_value, upper_value}}}` with `--adapter json`. A benchmark is a
strategy on a workload. Its value is the geometric mean over the seeds that reached the target of the workload. If none
did, there is no cost, and the benchmark is left out.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fdabench.analysis.data import WORKLOAD, combine_results
from fdabench.analysis.stats import geometric_mean
from fdabench.formatting import format_target
from fdabench.results.files import atomic_write_bytes
from fdabench.results.load import Results


@dataclass(frozen=True)
class BenchmarkCost:
    """The cost of one strategy on one workload.

    Args:
        benchmark: strategy, workload and target.
        unit: `bytes` or `steps`.
        value, low, high: geometric mean, least and most over the seeds that reached the target.
        reached, runs: seeds that reached the target, and all that have a result.
    """

    benchmark: str
    unit: str
    value: float
    low: float
    high: float
    reached: int
    runs: int


def write_github_benchmark(results: Results, path: Path) -> None:
    """Write the JSON file that github-action-benchmark reads."""
    entries = [
        {
            "name": f"{cost.benchmark}: {cost.unit}",
            "unit": cost.unit,
            "value": cost.value,
            "range": f"± {(cost.high - cost.low) / 2:.6g}",
            "extra": f"{cost.reached} of {cost.runs} runs reached the target",
        }
        for cost in _costs(results)
    ]
    _write_json(entries, path)


def write_bencher(results: Results, path: Path) -> None:
    """Write a file in Bencher Metric Format."""
    benchmarks: dict[str, dict[str, dict[str, float]]] = {}
    for cost in _costs(results):
        measures = benchmarks.setdefault(cost.benchmark, {})
        measures[cost.unit] = {"value": cost.value, "lower_value": cost.low, "upper_value": cost.high}
    _write_json(benchmarks, path)


def _costs(results: Results) -> Iterator[BenchmarkCost]:
    outcomes = combine_results([results]).at_workload_target
    for key, of_label in outcomes.groupby([*WORKLOAD, "label", "target"], sort=False):
        _, workload, label, target = map(str, key)
        hits = of_label[of_label["reached"].astype(bool)]
        for unit in ("bytes", "steps"):
            values = hits[f"cost_{unit}"].astype(float)
            if len(values) and math.isfinite(mean := geometric_mean(values)):
                name = f"{label}, {workload}, to {format_target(float(target))}"
                low, high = float(values.min()), float(values.max())
                # the mean of equal costs is rounded, and may lie outside of them in the last bit
                yield BenchmarkCost(name, unit, min(max(mean, low), high), low, high, len(hits), len(of_label))


def _write_json(value: object, path: Path) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_bytes(path, f"{text}\n".encode())
