"""Determines whether a table shows the bytes that workers sent and received apart from their sum, which ranks."""

from collections.abc import Sequence

import pandas as pd

from fdabench.analysis.stats import geometric_mean
from fdabench.formatting import format_bytes

UNEQUAL_DIRECTIONS = 0.01
"""The difference between the bytes sent and received, as a share of all, from which a table shows both."""


def has_unequal_directions(frame: pd.DataFrame, total: str) -> bool:
    """Return whether the bytes sent and received differ by more than `UNEQUAL_DIRECTIONS` of the total in a row.

    Args:
        frame: has `bytes_up` and `bytes_down`; NaN where they are not known, which is never unequal.
        total: the column of `frame` that has the sum of both.
    """
    return bool(_are_unequal(frame, total).any())


def direction_texts(frame: pd.DataFrame, labels: Sequence[str]) -> dict[str, str]:
    """Return the bytes of each strategy by direction, such as `9.1 MB sent, 4.5 MB received`, by label.

    Args:
        frame: one row for each cell that counts, with `label`, `bytes_total`, `bytes_up` and `bytes_down`.
        labels: the strategies, which may have no row.

    Returns:
        Geometric means over the rows of each strategy; an empty text where both directions are equal. The whole result
        is empty if they are equal for every strategy.
    """
    columns = ["bytes_total", "bytes_up", "bytes_down"]
    means = frame.groupby("label")[columns].agg(geometric_mean).astype(float)
    unequal = means[_are_unequal(means, "bytes_total")]
    if unequal.empty:
        return {}
    texts = {
        str(label): f"{format_bytes(row['bytes_up'])} sent, {format_bytes(row['bytes_down'])} received"
        for label, row in unequal.iterrows()
    }
    return {label: texts.get(label, "") for label in labels}


def _are_unequal(frame: pd.DataFrame, total: str) -> "pd.Series[bool]":
    return (frame["bytes_up"] - frame["bytes_down"]).abs() > UNEQUAL_DIRECTIONS * frame[total]
