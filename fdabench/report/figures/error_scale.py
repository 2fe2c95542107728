"""The y axis of the metric in all figures.

Accuracies have the logarithm of the error, which magnifies differences close to 100 %; other metrics their logarithm.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from fdabench.accounting.arrays import Floats
from fdabench.metrics import ACCURACY, Metric

TICKS_APART = 0.09
"""The least distance of two ticks, as a share of the axis."""
WORDS = "(error on a log scale)"
# ticks, in 0..1; those that would overlap are left out
_ACCURACIES = (0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
_FLOOR = 1e-4
# the part of the axis below the lowest relevant accuracy, relative to the range of relevant accuracies
_LEAD = 0.25
# of the final values of strategies, the worst first: the axis shows the values from this quantile on
_QUARTILE = 0.25
_SMALLEST = 1e-12
"""Losses below are drawn as this one, because they have no logarithm."""


def metric_axis(axes: Axes, metric: Metric, values: npt.ArrayLike, targets: Sequence[float]) -> None:
    """Set the scale, limits, ticks and label of the y axis for values of a metric.

    Args:
        axes: the panel.
        metric: of the values and targets.
        values: the axis contains all of them.
        targets: contained too.
    """
    if metric.name == "accuracy":
        accuracy_axis(axes, values, targets)
        return
    values_and_targets = np.maximum([*np.asarray(values, dtype=float), *targets], _SMALLEST)
    low, high = float(values_and_targets.min()) / 1.05, float(values_and_targets.max()) * 1.05
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(_log_ticks(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel(f"{metric.label}\n(log scale)")


def scale_words(metric: Metric) -> str:
    """The begin of a sentence about the scale and the end of the axis, for a caption."""
    if metric.name == "accuracy":
        return "The axis of accuracies has the error on a log scale and begins a little below the lowest target and"
    return f"The axis of the {metric.title} has a log scale and ends a little above the highest target and"


def accuracy_axis(axes: Axes, accuracies: npt.ArrayLike, targets: Sequence[float]) -> None:
    """Set the scale, limits, ticks and label of the y axis for accuracies.

    Args:
        axes: the panel.
        accuracies: in 0..1. The axis contains all of them.
        targets: in 0..1; contained too.
    """
    values_and_targets = np.asarray([*np.asarray(accuracies, dtype=float), *targets])
    low, high = float(values_and_targets.min()), float(values_and_targets.max())
    axes.set_yscale("function", functions=(to_error, from_error))
    bottom, top = from_error(to_error(np.array(low)) - 0.04), 1 - max((1 - high) * 0.75, _FLOOR)
    axes.set_ylim(float(bottom), top)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(float(bottom), top)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.set_ylabel(f"test accuracy, %\n{WORDS}")


def worst_shown_value(
    values: npt.ArrayLike, last: npt.ArrayLike, targets: Sequence[float], metric: Metric = ACCURACY
) -> float:
    """The worst value that an axis shows.

    It is a little worse than the easiest target and than the final value that three quarters of the strategies reach.
    Early evaluations would otherwise take most of the axis.

    Args:
        values: all values that could be drawn.
        last: the final value of each strategy.
        targets: of the same metric.
        metric: of all these values; it determines which of two values is worse.
    """
    all_values, final_values = np.asarray(values, dtype=float), np.asarray(last, dtype=float)
    sign = metric.score(1.0)
    worst_relevant = sign * min(
        [float(np.quantile(sign * final_values, _QUARTILE)), *(sign * target for target in targets)]
    )
    to_scale, from_scale = _scale_of(metric)
    best = sign * max(sign * value for value in (*all_values, *final_values, *targets))
    top, floor = to_scale(np.array([best, worst_relevant]))
    begin = float(from_scale(np.array(floor - _LEAD * max(top - floor, 0.2))))
    return sign * max(float((sign * all_values).min()), sign * begin)


def _scale_of(metric: Metric) -> tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]:
    """The scale of the axis, greater for better values, and its inverse."""
    if metric.name == "accuracy":
        return to_error, from_error
    return lambda values: -np.log10(np.maximum(values, _SMALLEST)), lambda positions: 10**-positions


def _log_ticks(low: float, high: float) -> list[float]:
    """The round values between two values: 1, 2 and 5 times powers of ten; evenly spaced ones if there are too few."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    log_ticks = [tick for power in powers for factor in (1, 2, 5) if low <= (tick := factor * 10.0**power) <= high]
    linear_ticks = [round(float(tick), 9) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    return log_ticks if len(log_ticks) > 2 else linear_ticks


def _ticks(low: float, top: float) -> list[float]:
    """The ticks between two accuracies. A range with fewer than two of `_ACCURACIES` gets evenly spaced ticks."""
    inside = [tick for tick in _ACCURACIES if low <= tick <= top]
    if len(spaced := _without_overlap(inside, low, top)) > 1:
        return spaced
    return _without_overlap(
        [round(float(tick), 6) for tick in MaxNLocator(4).tick_values(low, top) if low <= tick <= top], low, top
    )


def _without_overlap(ticks: Sequence[float], low: float, high: float) -> list[float]:
    """The ticks without those whose labels would overlap; of two such ticks the higher one is kept."""
    spaced: list[float] = []
    positions = to_error(np.array([*ticks, low, high]))
    least = TICKS_APART * float(positions[-1] - positions[-2])
    for tick, position in reversed(list(zip(ticks, positions, strict=False))):
        if not spaced or float(to_error(np.array(spaced[-1]))) - float(position) >= least:
            spaced.append(tick)
    return spaced[::-1]


def to_error(accuracy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """-log10(1 - accuracy), limited at an error of `_FLOOR` / 2.

    >>> to_error(np.array([0.9, 0.99])).round(6).tolist()
    [1.0, 2.0]
    """
    return -np.log10(np.maximum(1 - np.asarray(accuracy), _FLOOR / 2))


def from_error(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 - 10^-value, the inverse of `to_error`."""
    return 1 - 10 ** -np.asarray(value)
