"""The y axis for accuracies in all figures: the logarithm of the error, which magnifies differences close to 100 %."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

TICKS_APART = 0.09
WORDS = "(error on a log scale)"
# ticks, in 0..1; those that would overlap are left out
_ACCURACIES = (0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
_FLOOR = 1e-4
# the part of the axis below the lowest relevant accuracy, relative to the range of relevant accuracies
_LEAD = 0.25
_QUARTILE = 0.25


def accuracy_axis(axes: Axes, accuracies: npt.ArrayLike, targets: Sequence[float]) -> None:
    """Set the scale, limits, ticks and label of the y axis for accuracies.

    Args:
        axes: the panel.
        accuracies: in 0..1. The axis contains all of them.
        targets: in 0..1; contained too.
    """
    known = np.asarray([*np.asarray(accuracies, dtype=float), *targets])
    low, high = float(known.min()), float(known.max())
    axes.set_yscale("function", functions=(to_error, from_error))
    bottom, top = from_error(to_error(np.array(low)) - 0.04), 1 - max((1 - high) * 0.75, _FLOOR)
    axes.set_ylim(float(bottom), top)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(float(bottom), top)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.set_ylabel(f"test accuracy, %\n{WORDS}")


def worth_showing(accuracies: npt.ArrayLike, last: npt.ArrayLike, targets: Sequence[float]) -> float:
    """The accuracy at which an axis begins.

    It is a little below the lowest target and below the final accuracy that three quarters of the strategies reach.
    Early evaluations would otherwise take most of the axis.

    Args:
        accuracies: all accuracies that could be drawn, in 0..1.
        last: the final accuracy of each strategy, in 0..1.
        targets: in 0..1.
    """
    every, ends = np.asarray(accuracies, dtype=float), np.asarray(last, dtype=float)
    matters = min([float(np.quantile(ends, _QUARTILE)), *targets])
    above, floor = to_error(np.array([max(every.max(), *ends, *targets), matters]))
    begin = float(from_error(np.array(floor - _LEAD * max(above - floor, 0.2))))
    return max(float(every.min()), begin, 0.0)


def _ticks(low: float, top: float) -> list[float]:
    """The ticks between two accuracies. A range with fewer than two of `_ACCURACIES` gets evenly spaced ticks."""
    inside = [tick for tick in _ACCURACIES if low <= tick <= top]
    if len(kept := _apart(inside, low, top)) > 1:
        return kept
    return _apart(
        [round(float(tick), 6) for tick in MaxNLocator(4).tick_values(low, top) if low <= tick <= top], low, top
    )


def _apart(ticks: Sequence[float], low: float, high: float) -> list[float]:
    """The ticks without those whose labels would overlap; of two such ticks the higher one is kept."""
    kept: list[float] = []
    places = to_error(np.array([*ticks, low, high]))
    least = TICKS_APART * float(places[-1] - places[-2])
    for tick, place in reversed(list(zip(ticks, places, strict=False))):
        if not kept or float(to_error(np.array(kept[-1]))) - float(place) >= least:
            kept.append(tick)
    return kept[::-1]


def to_error(accuracy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """-log10(1 - accuracy), limited at an error of `_FLOOR` / 2.

    >>> to_error(np.array([0.9, 0.99])).round(6).tolist()
    [1.0, 2.0]
    """
    return -np.log10(np.maximum(1 - np.asarray(accuracy), _FLOOR / 2))


def from_error(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 - 10^-value, the inverse of `to_error`."""
    return 1 - 10 ** -np.asarray(value)
