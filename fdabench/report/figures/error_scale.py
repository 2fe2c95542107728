"""An axis of accuracies: one scale for every figure, the logarithm of the error, as the last percent matters."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

TICKS_APART = 0.09
WORDS = "(error on a log scale)"
# Where the eye wants a tick.
_ACCURACIES = (0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
_FLOOR = 1e-4
# of the range of what matters: how much of what leads there is shown below it
_LEAD = 0.25
_QUARTILE = 0.25


def accuracy_axis(axes: Axes, accuracies: npt.ArrayLike, targets: Sequence[float]) -> None:
    """The y axis from the lowest to the highest of the accuracies and targets, in 0..1."""
    known = np.asarray([*np.asarray(accuracies, dtype=float), *targets])
    low, high = float(known.min()), float(known.max())
    axes.set_yscale("function", functions=(to_error, from_error))
    bottom, top = from_error(to_error(np.array(low)) - 0.04), 1 - max((1 - high) * 0.75, _FLOOR)
    axes.set_ylim(float(bottom), top)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(float(bottom), top)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.set_ylabel(f"test accuracy, %\n{WORDS}")


def worth_showing(accuracies: npt.ArrayLike, last: npt.ArrayLike, targets: Sequence[float]) -> float:
    """Where such an axis begins: a little below the lowest target and what three quarters of the strategies ended at.

    Args:
        accuracies: all that could be drawn. `last`: of each strategy, its accuracy at the end. All in 0..1.
    """
    every, ends = np.asarray(accuracies, dtype=float), np.asarray(last, dtype=float)
    matters = min([float(np.quantile(ends, _QUARTILE)), *targets])
    above, floor = to_error(np.array([max(every.max(), *ends, *targets), matters]))
    begin = float(from_error(np.array(floor - _LEAD * max(above - floor, 0.2))))
    return max(float(every.min()), begin, 0.0)


def _ticks(low: float, top: float) -> list[float]:
    """The highest first, without those that would stand in the next one's way; a narrow range has its own."""
    inside = [tick for tick in _ACCURACIES if low <= tick <= top]
    if len(kept := _apart(inside, low, top)) > 1:
        return kept
    return _apart(
        [round(float(tick), 6) for tick in MaxNLocator(4).tick_values(low, top) if low <= tick <= top], low, top
    )


def _apart(ticks: Sequence[float], low: float, high: float) -> list[float]:
    kept: list[float] = []
    places = to_error(np.array([*ticks, low, high]))
    least = TICKS_APART * float(places[-1] - places[-2])
    for tick, place in reversed(list(zip(ticks, places, strict=False))):
        if not kept or float(to_error(np.array(kept[-1]))) - float(place) >= least:
            kept.append(tick)
    return kept[::-1]


def to_error(accuracy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return -np.log10(np.maximum(1 - np.asarray(accuracy), _FLOOR / 2))


def from_error(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 - 10 ** -np.asarray(value)
