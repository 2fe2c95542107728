"""Periods that need not be whole: an epoch of 187.5 steps ends after steps 188, 375, 563, 750, ..."""

from fractions import Fraction


def is_period_end(t: int, period: Fraction | int) -> bool:
    """Whether step `t` (from 0) completes a period; the fraction is carried over, exactly."""
    return (t + 1) // period > t // period
