"""Periods with a fractional number of steps, such as an epoch of 187.5 steps; and the fragments of a model in turn.

>>> [t + 1 for t in range(751) if is_period_end(t, Fraction(375, 2))]
[188, 375, 563, 750]
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
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


def fragment_slices(num_parameters: int, fragments: int) -> tuple[slice, ...]:
    """Cut a row into parts whose lengths differ by at most one number.

    >>> fragment_slices(10, 3)
    (slice(0, 3, None), slice(3, 6, None), slice(6, 10, None))
    """
    bounds = [index * num_parameters // fragments for index in range(fragments + 1)]
    return tuple(slice(start, stop) for start, stop in pairwise(bounds))


@dataclass(frozen=True)
class FragmentSchedule:
    """Each fragment is due once in `period` local steps, at equal intervals, first to last. The arithmetic is exact.

    Args:
        period: local steps between two syncs of the same fragment; may be a fraction.
        fragments: their number.

    Raises:
        ValueError: more than one fragment would be due in a step.

    >>> schedule = FragmentSchedule(Fraction(5), 2)
    >>> [(t, schedule.due(t)) for t in range(10) if schedule.due(t) is not None]
    [(2, 0), (4, 1), (7, 0), (9, 1)]
    """

    period: Fraction
    fragments: int

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ValueError(
                f"fragments: {self.fragments} is too many for a period of {float(self.period):g} local steps"
            )

    @property
    def interval(self) -> Fraction:
        """Local steps between two fragments."""
        return Fraction(self.period) / self.fragments

    def count(self, steps: int) -> int:
        """The number of fragments that are due in the first `steps` local steps."""
        return int(max(0, steps) // self.interval)

    def due(self, t: int) -> int | None:
        """The fragment that is due at local step `t`, counted from 0; None for none, also before the first step."""
        count = self.count(t + 1)
        return None if count == self.count(t) else (count - 1) % self.fragments

    def start(self, t: int) -> int:
        """The number of local steps before the round that ends for the fragment due at local step `t`."""
        return max(0, ceil((self.count(t + 1) - self.fragments) * self.interval))
