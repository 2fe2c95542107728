"""Formats ratios of costs for sentences and tables.

A ratio is printed as a mean with its interval. If cells that missed the target leave only one limit known, it is
printed as "at least" or "at most" that limit.
"""

import math

from fdabench.analysis.stats import Ratio
from fdabench.formatting import DASH, format_ratio


def format_times(ratio: Ratio) -> str:
    """Format a ratio for a sentence; empty if there is no pair of cells.

    Examples: `14 times as many [14, 15]`, `at least 3.2 times as many`, `at most 0.78 times as many`. If the limit
    leaves open which side costs more, `unclear` is in front: `unclear, at least 0.27 times as many`.

    >>> format_times(Ratio(14.3, 14.0, 14.6, 4, ""))
    '14 times as many [14, 15]'
    """
    return _format_limits(ratio, " times as many")


def format_times_sign(ratio: Ratio) -> str:
    """Format a ratio for a table, such as `14× [14, 15]` or `at least 3.2×`; a dash if there is no pair of cells."""
    return _format_limits(ratio, "×") or DASH


def _format_limits(ratio: Ratio, unit: str) -> str:
    if not ratio.pairs:
        return ""
    if ratio.bound:
        words, limit = ("at least", ratio.low) if ratio.bound == "≥" else ("at most", ratio.high)
        # with one seed there is no interval, so the observed ratio is the limit
        limit = limit if math.isfinite(limit) else ratio.mean
        is_unclear = limit < 1 if ratio.bound == "≥" else limit > 1
        return f"{'unclear, ' if is_unclear else ''}{words} {format_ratio(limit)}{unit}"
    is_finite = math.isfinite(ratio.low) and math.isfinite(ratio.high)
    interval = f" [{format_ratio(ratio.low)}, {format_ratio(ratio.high)}]" if is_finite else ""
    return f"{format_ratio(ratio.mean)}{unit}{interval}"
