"""Pairs runs whose settings changed since the baseline, by their other settings. They are reported, and not judged."""

import math
from collections.abc import Iterable, Mapping, Sequence
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
        what = ", ".join(setting.text for setting in self.settings)
        costs = [pair.after.bytes_total / pair.before.bytes_total - 1 for pair in self.pairs if pair.before.bytes_total]
        facts = [plural(len(self.pairs), "run")]
        facts += [f"{span(costs)} bytes" if any(costs) else "bytes equal"] if costs else []
        facts += [self._quality] if self._quality else []
        diverged = sum(pair.after.state == "diverged" for pair in self.pairs)
        facts += [f"{diverged} diverged"] if diverged else []
        return f"{self.strategy}, {what}: {', '.join(facts)}: not judged"

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
        known = [change for change in changes if math.isfinite(change)]
        return sum(known) / len(known) if known else math.nan


def pair_changed(
    gone: Sequence[RunSummary], added: Sequence[RunSummary], metric: Metric = ACCURACY
) -> list[ChangedRuns]:
    """Pair cells of one data set, model, strategy and monitor, those with the fewest differing settings first.

    Each cell is paired at most once, and its runs are paired by seed. If several cells differ in equally many settings,
    those whose numbers are closest are paired.

    Args:
        gone: runs of the baseline that are not in the results, by id.
        added: runs of the results that are not in the baseline, by id.
        metric: of the suite.
    """
    old, new = _cells(gone), _cells(added)
    candidates = [
        (*_distance(settings), one, other)
        for one, (config, seeds) in old.items()
        for other, (there, others) in new.items()
        if seeds.keys() & others.keys() and _same_but(config, there)
        for settings in [_differing(config, there)]
    ]
    groups: dict[tuple[str, str], tuple[tuple[SettingChange, ...], list[RunPair]]] = {}
    taken: set[str] = set()
    for _, _, one, other in sorted(candidates):
        if f"< {one}" in taken or f"> {other}" in taken:
            continue
        taken |= {f"< {one}", f"> {other}"}
        (config, seeds), (there, others) = old[one], new[other]
        settings = _differing(config, there)
        key = (strategy_kinds(other), repr(settings))
        pairs = groups.setdefault(key, (settings, []))[1]
        pairs += [RunPair(seeds[seed], others[seed]) for seed in sorted(seeds.keys() & others.keys())]
    return [
        ChangedRuns(strategy, settings, tuple(pairs), metric)
        for (strategy, _), (settings, pairs) in sorted(groups.items())
    ]


def _cells(runs: Iterable[RunSummary]) -> dict[str, tuple[dict[str, Scalar], dict[int, RunSummary]]]:
    """The settings of each cell and its runs by seed, without cells that have no settings, as in an edited baseline."""
    found: dict[str, tuple[dict[str, Scalar], dict[int, RunSummary]]] = {}
    for run in runs:
        if run.config:
            found.setdefault(run.cell, (flatten_keys(run.config), {}))[1][run.seed] = run
    return found


def _same_but(one: Mapping[str, Scalar], other: Mapping[str, Scalar]) -> bool:
    return all(one.get(key) == other.get(key) for key in _SAME)


def _differing(one: Mapping[str, Scalar], other: Mapping[str, Scalar]) -> tuple[SettingChange, ...]:
    keys = [key for key in {**one, **other} if one.get(key, _NONE) != other.get(key, _NONE)]
    return tuple(SettingChange(key, one.get(key, _NONE), other.get(key, _NONE)) for key in keys)


def _distance(settings: Sequence[SettingChange]) -> tuple[int, float]:
    """The number of settings that differ, and the sum of the absolute log ratios of those that are numbers."""
    return len(settings), sum(_settings_apart(setting.before, setting.after) for setting in settings)


def _settings_apart(one: Scalar, other: Scalar) -> float:
    if isinstance(one, bool | str) or isinstance(other, bool | str):
        return 1.0
    return abs(math.log(other / one)) if one > 0 and other > 0 else 1.0


def _value(value: Scalar) -> str:
    text = format_parameter(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
