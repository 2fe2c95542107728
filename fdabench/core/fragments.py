"""Fragments: consecutive parts of a row of D numbers, of which each sync averages one in turn."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil


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
