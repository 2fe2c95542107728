"""Pairs runs whose settings changed since the baseline, by their other settings. They are reported, and not judged."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fdabench.cell_config import Scalar
from fdabench.formatting import format_parameter, plural
from fdabench.gate.baseline.model import RunPair, RunSummary
from fdabench.gate.output.units import points, quality_change_text, span, strategy_kinds
from fdabench.metrics import ACCURACY, LOSS, Metric
from fdabench.results.flatten_keys import flatten_keys

_SAME = ("dataset", "model", "strategy.kind", "strategy.monitor.kind")
"""Settings that paired runs must have in common; otherwise a comparison has no meaning."""
_NONE = "none"


class SettingChange(NamedTuple):
    """A key of a cell's configuration and its two values; "none" if one side does not have the key."""

    key: str
    before: Scalar
    after: Scalar

    @property
    def text(self) -> str:
        return f"{self.key.removeprefix('strategy.')} {_value(self.before)} -> {_value(self.after)}"


@dataclass(frozen=True)
class ChangedRuns:
    """The runs of one strategy whose settings changed in the same way."""

    strategy: str
    settings: tuple[SettingChange, ...]
    pairs: tuple[RunPair, ...]
    metric: Metric = ACCURACY

    @property
    def text(self) -> str:
        """A line: `fda linear, theta 1 -> 0.6: 12 runs, +31 to +34 % bytes, accuracy +0.4 points: not judged`."""
        settings = ", ".join(setting.text for setting in self.settings)
        costs = [pair.after.bytes_total / pair.before.bytes_total - 1 for pair in self.pairs if pair.before.bytes_total]
        facts = [plural(len(self.pairs), "run")]
        facts += [f"{span(costs)} bytes" if any(costs) else "bytes equal"] if costs else []
        facts += [self._quality] if self._quality else []
        diverged = sum(pair.after.state == "diverged" for pair in self.pairs)
        facts += [f"{diverged} diverged"] if diverged else []
        return f"{self.strategy}, {settings}: {', '.join(facts)}: not judged"

    @property
    def _quality(self) -> str:
        """The mean change of the loss if the baseline has losses, otherwise of the accuracy; "" if none is known.

        The loss is in the unit of the suite's metric, in nats if that is the accuracy.
        """
        metric = self.metric if self.metric.source == "loss" else LOSS
        changes = [metric.convert(pair.after.loss) - metric.convert(pair.before.loss) for pair in self.pairs]
        losses = [change for change in changes if math.isfinite(change)]
        if losses:
            return f"{metric.title} {quality_change_text(metric.name, sum(losses) / len(losses))}"
        return f"accuracy {points(self.accuracy)}" if math.isfinite(self.accuracy) else ""

    @property
    def accuracy(self) -> float:
        """The mean change of accuracy, a fraction of the test set; NaN if no pair of runs has both accuracies."""
        changes = [pair.after.accuracy - pair.before.accuracy for pair in self.pairs]
        finite = [change for change in changes if math.isfinite(change)]
        return sum(finite) / len(finite) if finite else math.nan


def pair_changed(
    removed: Sequence[RunSummary], added: Sequence[RunSummary], metric: Metric = ACCURACY
) -> list[ChangedRuns]:
    """Pair cells of one data set, model, strategy and monitor, those with the fewest differing settings first.

    Each cell is paired at most once, and its runs are paired by seed. If several cells differ in equally many settings,
    those whose numbers are closest are paired.

    Args:
        removed: runs of the baseline that are not in the results, by id.
        added: runs of the results that are not in the baseline, by id.
        metric: of the suite.
    """
    old, new = runs_by_cell(removed), runs_by_cell(added)
    candidates = [
        (distance(setting_changes(config, new_config)), old_cell, other)
        for old_cell, (config, seeds) in old.items()
        for other, (new_config, others) in new.items()
        if seeds.keys() & others.keys() and _same_but(config, new_config)
    ]
    groups: dict[tuple[str, str], tuple[tuple[SettingChange, ...], list[RunPair]]] = {}
    for old_cell, other in closest_pairs(candidates):
        (config, seeds), (new_config, others) = old[old_cell], new[other]
        settings = setting_changes(config, new_config)
        key = (strategy_kinds(other), repr(settings))
        pairs = groups.setdefault(key, (settings, []))[1]
        pairs += [RunPair(seeds[seed], others[seed]) for seed in sorted(seeds.keys() & others.keys())]
    return [
        ChangedRuns(strategy, settings, tuple(pairs), metric)
        for (strategy, _), (settings, pairs) in sorted(groups.items())
    ]


def closest_pairs(candidates: Iterable[tuple[tuple[int, float], str, str]]) -> Iterator[tuple[str, str]]:
    """Yield pairs in the order of their distance. A cell is in one pair at most.

    Args:
        candidates: a distance, the name of a cell on the left side and the name of a cell on the right side.
    """
    left_cells, right_cells = set[str](), set[str]()
    for _, left, right in sorted(candidates):
        if left not in left_cells and right not in right_cells:
            left_cells.add(left)
            right_cells.add(right)
            yield left, right


def runs_by_cell(runs: Iterable[RunSummary]) -> dict[str, tuple[dict[str, Scalar], dict[int, RunSummary]]]:
    """Return the settings of each cell and its runs by seed, by the name of the cell.

    Cells that have no settings, as in an edited baseline, are left out.
    """
    cells: dict[str, tuple[dict[str, Scalar], dict[int, RunSummary]]] = {}
    for run in runs:
        if run.config:
            cells.setdefault(run.cell, (flatten_keys(run.config), {}))[1][run.seed] = run
    return cells


def _same_but(left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> bool:
    return all(left.get(key) == right.get(key) for key in _SAME)


def setting_changes(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> tuple[SettingChange, ...]:
    """Return the keys whose values differ, with both values."""
    keys = [key for key in {**before, **after} if before.get(key, _NONE) != after.get(key, _NONE)]
    return tuple(SettingChange(key, before.get(key, _NONE), after.get(key, _NONE)) for key in keys)


def distance(settings: Sequence[SettingChange]) -> tuple[int, float]:
    """Return the number of settings that differ, and the sum of the absolute log ratios of those that are numbers."""
    return len(settings), sum(_log_ratio(setting.before, setting.after) for setting in settings)


def _log_ratio(left: Scalar, right: Scalar) -> float:
    """The absolute log ratio of two positive numbers; 1 for other values."""
    if isinstance(left, bool | str) or isinstance(right, bool | str):
        return 1.0
    return abs(math.log(right / left)) if left > 0 and right > 0 else 1.0


def _value(value: Scalar) -> str:
    text = format_parameter(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
