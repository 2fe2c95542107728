"""Periods with a fractional number of steps, such as an epoch of 187.5 steps.

>>> [t + 1 for t in range(751) if is_period_end(t, Fraction(375, 2))]
[188, 375, 563, 750]
"""

from collections.abc import Iterable
from fractions import Fraction
from math import ceil


def is_period_end(t: int, period: Fraction | int) -> bool:
    """Whether local step `t`, counted from 0, completes a period of `period` steps. The arithmetic is exact."""
    return (t + 1) // period > t // period


Delay = tuple[int, int]
"""By which share of a step the last sync came after the end of its period: numerator and denominator."""
ON_TIME: Delay = (0, 1)


def period_delay(steps: int, delay: Delay, period: Fraction | int) -> Delay | None:
    """Whether a round has completed its period, where periods may change from round to round. Exact.

    Args:
        steps: local steps of the round so far.
        delay: of the sync before the round, so that a period of 2.5 steps ends after 3, 5, 8, 10 steps.
        period: of the round. It may be shorter than in the step before.

    Returns:
        None if it has not, else the delay of the sync that is now due; `ON_TIME` if the period was cut short.
    """
    over = steps + Fraction(*delay) - max(1, period)
    if over < 0:
        return None
    return (over.numerator, over.denominator) if over < 1 else ON_TIME


def count_period_ends(steps: int, stages: Iterable[tuple[Fraction | int, Fraction | int]]) -> int:
    """The number of syncs in a run that asks `period_delay` after every step.

    Args:
        steps: local steps of the run.
        stages: the number of local steps at which each stage ends, and the period in it.

    >>> count_period_ends(20, [(4, 1), (20, Fraction(5, 2))])
    10
    """
    syncs, begin, last = 0, 0, Fraction(0)
    for stop, period in stages:
        end, period = min(steps, ceil(stop)), max(1, period)
        due = last + period
        if due <= begin:  # the period was cut short
            due = Fraction(begin + 1)
        if ceil(due) <= end:
            more = (end - due) // period
            syncs += 1 + more
            last = due + more * period
        begin = max(begin, end)
    return syncs
