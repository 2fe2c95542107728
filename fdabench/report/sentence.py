"""Writes the conclusion of a suite in one sentence, which compares the best strategy with the others."""

import pandas as pd

from fdabench.analysis.order import Order
from fdabench.analysis.stats import PAIR, Ratio, geometric_mean, paired_ratio
from fdabench.formatting import format_bytes, plural
from fdabench.metrics import ACCURACY, Metric
from fdabench.report.ratios import format_times

MAX_LEVEL = 3
"""The sentence names at most this number of strategies whose cost is about that of the best one."""


def sentence_of(outcomes: pd.DataFrame, order: Order, metric: Metric = ACCURACY) -> str:
    """Write the conclusion of a suite in one sentence.

    For example: `90 %: LinearFDA needed 14.0 MB (4 of 4 runs); Synchronous 201 MB (4 of 4 runs): 14 times as many
    [14, 15].` It names the best strategy, the strategies whose cost is about the same, and the reference. If the
    reference is among these, or there is none, it names the next strategy in order instead.

    Args:
        outcomes: rows at one target that at least one cell reached, with the columns that `paired_ratio` requires.
        order: the strategies in the order of their cost.
        metric: of the target.

    Returns:
        The sentence, with a period at its end.
    """
    best, others = order.labels[0], order.labels[1:]
    of_best = outcomes[outcomes["label"] == best]
    level = order.leading[1 : order.level]
    clauses = [f"{best} needed {_cost(of_best)}"]
    clauses += [f"{label} {_cost(outcomes[outcomes['label'] == label])}" for label in level[:MAX_LEVEL]]
    clauses += [f"{len(level) - MAX_LEVEL} others about the same"] if len(level) > MAX_LEVEL else []
    sentence = f"{metric.format_target(float(outcomes['target'].iloc[0]))}: {', '.join(clauses)}"
    behind = [label for label in others if label not in level]
    references = [label for label in behind if outcomes.loc[outcomes["label"] == label, "reference"].any()]
    other = next(iter(references or behind), None)
    if other is None:
        return f"{sentence}."
    return (
        f"{sentence}; {_other(outcomes[outcomes['label'] == other], of_best, other)}{f' as {best}' if level else ''}."
    )


def _cost(rows: pd.DataFrame) -> str:
    size = format_bytes(geometric_mean(rows.loc[rows["reached"], "bytes_total"]))
    return f"{size}{'' if rows['reached'].all() else ' where it reached the target'} ({runs_of(rows)})"


def _other(others: pd.DataFrame, best: pd.DataFrame, label: str) -> str:
    ratio = paired_ratio(others, best, "cost_bytes")
    hits = others[others["reached"]]
    cost = format_bytes(geometric_mean(hits["bytes_total"])) if len(hits) else "did not reach it"
    text = format_times(ratio)
    pairs = pair_words(ratio, others, best)
    comparison = f": {text}{f' ({pairs})' if pairs else ''}" if text else ", not comparable"
    return f"{label} {cost} ({runs_of(others)}){comparison}"


def runs_of(rows: pd.DataFrame) -> str:
    """Return how many runs reached the target, such as `3 of 4 runs`."""
    return f"{int(rows['reached'].sum())} of {plural(len(rows), 'run')}"


def pair_words(ratio: Ratio, first: pd.DataFrame, second: pd.DataFrame) -> str:
    """Return how many pairs of cells a ratio is computed from, such as `9 of 12 pairs; in 3 neither reached it`.

    Args:
        ratio: of the costs in `first` and `second`.
        first: outcomes of one strategy.
        second: outcomes of the other strategy.

    Returns:
        The text; empty if all pairs count.
    """
    pairs = first[[*PAIR, "reached"]].merge(second[[*PAIR, "reached"]], on=PAIR, suffixes=("_1", "_2"))
    neither = int((~pairs["reached_1"] & ~pairs["reached_2"]).sum())
    if ratio.pairs == len(pairs):
        return ""
    rest = len(pairs) - ratio.pairs - neither
    reasons = [f"in {neither} neither reached it"] if neither else []
    reasons += [f"{rest} cannot be compared"] if rest > 0 else []
    return "; ".join([f"{ratio.pairs} of {plural(len(pairs), 'pair')}", *reasons])
