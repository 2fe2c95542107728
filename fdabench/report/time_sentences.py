"""Writes one sentence for each fleet and network that the suite or the user names: the modeled time to the target.

The first screen of a report shows them below the conclusion, which compares bytes.
"""

import pandas as pd

from fdabench.analysis.data import ReportData
from fdabench.analysis.stats import geometric_mean
from fdabench.formatting import format_duration, format_ratio


def time_sentences(data: ReportData, fleets: pd.DataFrame | None, networks: pd.DataFrame | None) -> list[str]:
    """Return one sentence for each suite and each fleet or network that the suite or the user names.

    Built-in networks are left out: the table `times` has them in every report.

    Args:
        data: the results.
        fleets: as `tables.fleets.fleets_frame` returns it; None if there is none.
        networks: as `tables.times.times_frame` returns it; None if no target was reached.
    """
    sentences = []
    for suite, lock in data.locks.items():
        own = [network.name for network in lock.network]
        scenarios = [("fleet", fleets, list(data.fleets[suite])), ("network", networks, own)]
        for column, frame, names in scenarios:
            if frame is None:
                continue
            for name in names:
                rows = frame[(frame["suite"] == suite) & (frame[column] == name)]
                sentences += [f"Modeled time on {column} {name}: {_comparison(rows)}."] if len(rows) else []
    return sentences


def _comparison(rows: pd.DataFrame) -> str:
    """The fastest strategy and the reference, or the next one if the fastest is the reference or there is none.

    Only strategies that reached the target on the largest number of workloads are compared, by geometric means.
    """
    grouped = rows.groupby("strategy", sort=False)
    seconds = grouped["seconds"].agg(lambda values: geometric_mean(values.to_numpy()))
    counts = grouped["seconds"].size()
    ordered = seconds[counts == counts.max()].sort_values(kind="stable")
    best, best_s = ordered.index[0], float(ordered.iloc[0])
    text = f"{best} {format_duration(best_s)} to the target"
    references = set(rows.loc[rows["reference"], "strategy"])
    behind = list(ordered.index[1:])
    other = next((name for name in behind if name in references), next(iter(behind), None))
    if other is None:
        return text
    return f"{text}, {other} {format_duration(ordered[other])} ({format_ratio(ordered[other] / best_s)} times as long)"
