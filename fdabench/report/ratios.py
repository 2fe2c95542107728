"""A ratio of costs in words: one number and its interval, or the one limit that misses leave."""

import math

from fdabench.analysis.stats import Ratio
from fdabench.formatting import DASH, format_ratio


def format_times(ratio: Ratio) -> str:
    """`14 times as many [14, 15]`, `at least 3.2 times as many`, `at most 0.78 times as many`; empty without a pair.

    A limit that leaves open which side costs more says so: `unclear, at least 0.27 times as many`.
    """
    return _format_limits(ratio, " times as many")


def format_times_sign(ratio: Ratio) -> str:
    """The same for a table: `14× [14, 15]`, `at least 3.2×`; a dash without a pair."""
    return _format_limits(ratio, "×") or DASH


def _format_limits(ratio: Ratio, unit: str) -> str:
    if not ratio.pairs:
        return ""
    if ratio.bound:
        words, limit = ("at least", ratio.low) if ratio.bound == "≥" else ("at most", ratio.high)
        # of one seed there is no limit but what was seen
        limit = limit if math.isfinite(limit) else ratio.mean
        says_nothing = limit < 1 if ratio.bound == "≥" else limit > 1
        return f"{'unclear, ' if says_nothing else ''}{words} {format_ratio(limit)}{unit}"
    known = math.isfinite(ratio.low) and math.isfinite(ratio.high)
    interval = f" [{format_ratio(ratio.low)}, {format_ratio(ratio.high)}]" if known else ""
    return f"{format_ratio(ratio.mean)}{unit}{interval}"
