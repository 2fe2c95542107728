"""What a run says when it ends: who reached the target with the fewest bytes, and how the others compare."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fdabench.report.data import ReportData, combine, only
from fdabench.report.headline import ranking, strategies_of
from fdabench.report.stats import NO_RATIO, Ratio, geometric_mean, paired_ratio
from fdabench.report.text import budget_text, byte_size, listing, percent, plural, ratio_number, target_name
from fdabench.results.load import Results

Row = tuple[str, ...]

MOST_OTHERS = 15
"""Strategies compared with the best, by how cheaply they reached the target."""


@dataclass(frozen=True)
class Conclusion:
    """What one suite says, in parts: a sentence, rows of costs, how the others compare, what else to know."""

    title: str
    costs: Sequence[Row] = ()
    comparisons: Sequence[Row] = ()
    notes: Sequence[str] = ()


def closing_summary(results: Results) -> str:
    """Plain text without escape codes, for the end of a run."""
    data = combine([results])
    return summary_text(conclude(data, next(iter(data.locks))))


def summary_text(said: Conclusion) -> str:
    notes = [f"  {note}" for note in said.notes]
    return "\n".join([said.title, *_table(said.costs, 2), *_table(said.comparisons, 5), *notes])


def conclude(everything: ReportData, suite: str) -> Conclusion:
    """What one suite of a report says."""
    data = only(everything, suite)
    targets = list(data.locks[suite]["targets"])
    left_out = _left_out(data)
    if data.finished.empty:
        return Conclusion(f"No cell of {suite} has a result yet.", notes=left_out)
    if not targets:
        return Conclusion(_title_without("No target is set", data), _best_accuracies(data), notes=left_out)
    if data.headline.empty:
        why = f"Nobody reached {target_name(min(targets))}"
        return Conclusion(_title_without(why, data), _best_accuracies(data), notes=left_out)
    outcomes = data.headline
    best, *others = [*ranking(outcomes), *never(outcomes)]
    more = [f"and {len(others) - MOST_OTHERS} others: the report has them"] if len(others) > MOST_OTHERS else []
    notes = [*more, *_higher_targets(data, targets), *left_out]
    return Conclusion(_title(data), [_cost_row(outcomes, best)], _comparisons(outcomes, best, others), notes)


def _title(data: ReportData) -> str:
    outcomes = data.headline
    workloads, seeds = len(data.workloads), outcomes["seed"].nunique()
    over = f"geometric mean over {plural(workloads, 'workload')}, {plural(seeds, 'seed')}"
    interval = ", 95 % CI" if seeds > 1 else ", no interval from one seed"
    convention = "" if data.conventions == "paper" else f"; {data.conventions} convention"
    budget = budget_text(list(data.configs.values()))
    return f"Bytes to {target_name(outcomes['target'].iloc[0])} ({over}{interval}; {budget}{convention})"


def _cost_row(outcomes: pd.DataFrame, label: str) -> Row:
    mine = outcomes[outcomes["label"] == label]
    hits = mine[mine["reached"]]
    return (
        label,
        f"{_reached(mine)} reached",
        byte_size(geometric_mean(hits["bytes_total"])) + _of_hits(mine),
        _steps(outcomes, mine),
    )


def _reached(mine: pd.DataFrame) -> str:
    return f"{int(mine['reached'].sum())}/{len(mine)}"


def _of_hits(mine: pd.DataFrame) -> str:
    missed = int((~mine["reached"]).sum())
    return f" (mean of the hits; {missed} missed left out)" if missed else ""


def _steps(outcomes: pd.DataFrame, mine: pd.DataFrame) -> str:
    reference = outcomes[outcomes["reference"]]
    if reference.empty or bool(mine["reference"].all()):
        return ""
    name = listing(strategies_of(reference))
    ratio = paired_ratio(mine, reference, "cost_steps")
    if not ratio.pairs:
        return f"steps not comparable with {name}: {_reached(reference)} reached"
    return f"{ratio.bound}{ratio_number(ratio.mean)}x the steps of {name}"


def _comparisons(outcomes: pd.DataFrame, best: str, others: Sequence[str]) -> list[Row]:
    mine = outcomes[outcomes["label"] == best]
    compared = []
    for label in others[:MOST_OTHERS]:
        theirs = outcomes[outcomes["label"] == label]
        compared.append((paired_ratio(theirs, mine, "cost_bytes"), label, theirs))
    compared.sort(key=lambda entry: (entry[0] is NO_RATIO, entry[0].mean))
    return [_comparison_row(ratio, label, mine, theirs) for ratio, label, theirs in compared]


def _comparison_row(ratio: Ratio, label: str, mine: pd.DataFrame, theirs: pd.DataFrame) -> Row:
    if not ratio.pairs:
        return "–", "", f"not comparable with {label}", f"{_reached(theirs)} reached"
    word = "fewer" if ratio.mean >= 1 else "more"
    shown = ratio if ratio.mean >= 1 else ratio.inverse()
    interval = f"[{ratio_number(shown.low)}, {ratio_number(shown.high)}]" if shown.has_interval else ""
    return (
        f"{shown.bound}{ratio_number(shown.mean)}",
        interval,
        f"times {word} bytes than {label}",
        _misses(shown, mine, theirs),
    )


def _misses(ratio: Ratio, mine: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """What misses make of the number; nothing to say when both reached the target everywhere."""
    notes = []
    if not theirs["reached"].all():
        notes.append(f"{_reached(theirs)} reached")
    if ratio.bound:
        notes.append({"≥": "lower bound", "≤": "upper bound"}[ratio.bound])
    text = ": ".join(notes)
    if ratio.left_out:
        text += f"{', ' if text else ''}{plural(ratio.left_out, 'pair')} left out"
    return text


def never(outcomes: pd.DataFrame) -> list[str]:
    """Labels that missed the target everywhere."""
    hit = set(ranking(outcomes))
    return [label for label in strategies_of(outcomes) if label not in hit]


def _table(rows: Sequence[Row], indent: int) -> list[str]:
    """Columns aligned; a first column of numbers to the right, as its digits then line up."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    align = [str.rjust if indent > 2 else str.ljust, *[str.ljust] * (len(widths) - 1)]
    lines = []
    for row in rows:
        cells = [place(cell, width) for place, cell, width in zip(align, row, widths, strict=True) if width]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return lines


def _title_without(why: str, data: ReportData) -> str:
    return f"{why}: best accuracy and bytes in all ({budget_text(list(data.configs.values()))})"


def _best_accuracies(data: ReportData) -> list[Row]:
    """With no cost to compare: what accuracy was had for how many bytes."""
    finished = data.finished
    rows: list[Row] = []
    for label, runs in finished.groupby("label", sort=False):
        size = byte_size(geometric_mean(runs["bytes_total"]))
        rows.append((str(label), f"{percent(runs['best_accuracy'].mean())}", size, plural(len(runs), "cell")))
    rows.sort(key=lambda row: -finished.loc[finished["label"] == row[0], "best_accuracy"].mean())
    return rows


def _higher_targets(data: ReportData, targets: Sequence[float]) -> list[str]:
    top = data.headline["target"].iloc[0]
    lines = []
    for target in sorted(target for target in targets if target > top):
        cells = data.outcomes.loc[data.outcomes["target"] == target, "reached"]
        who = f"{int(cells.sum())} of {plural(len(cells), 'cell')}" if cells.any() else "nobody"
        lines.append(f"{target_name(target)} was reached by {who}")
    return lines


def _left_out(data: ReportData) -> list[str]:
    """Cells without a result, and those that diverged, by strategy."""
    runs = data.runs
    groups = {
        "diverged (counted as missed)": runs[runs["state"] == "diverged"],
        "failed (left out)": runs[runs["failed"]],
        "not run to the end (left out)": runs[~runs["finished"] & ~runs["failed"]],
    }
    return [
        f"{plural(len(rows), 'cell')} {what}: {listing(list(dict.fromkeys(rows['label'])))}"
        for what, rows in groups.items()
        if len(rows)
    ]
