"""Periods with a fractional number of steps, such as an epoch of 187.5 steps.

>>> [t + 1 for t in range(751) if is_period_end(t, Fraction(375, 2))]
[188, 375, 563, 750]
"""

from fractions import Fraction


def is_period_end(t: int, period: Fraction | int) -> bool:
    """Whether local step `t`, counted from 0, completes a period of `period` steps. The arithmetic is exact."""
    return (t + 1) // period > t // period
