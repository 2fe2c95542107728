"""Writes the summary of a suite: the conclusion in one sentence, a row for each strategy, and notes.

`fdabench run` prints it at its end, and `report.build` puts it on the page.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData, combine_results, for_suite
from fdabench.analysis.headline import labels_in_order
from fdabench.analysis.order import RULE, RULE_OF_KEPT, Order, order_strategies
from fdabench.analysis.stats import geometric_mean, paired_ratio
from fdabench.formatting import (
    format_bytes,
    format_ratio,
    join_first,
    plural,
)
from fdabench.report.budgets import describe_budget
from fdabench.report.directions import direction_texts
from fdabench.report.ratios import format_times
from fdabench.report.sentence import pair_words, runs_of, sentence_of
from fdabench.results.load import Results

SummaryRow = tuple[str, ...]

MAX_ROWS = 16
"""The summary has at most this number of strategies, those with the lowest cost."""


@dataclass(frozen=True)
class Conclusion:
    """The summary of one suite.

    Args:
        sentence: the conclusion in one sentence.
        title: the heading of the rows: the target, how it was chosen, and which cells are averaged.
        costs: if costs cannot be compared, a row for each strategy with its best value, its total bytes, and the bytes
            sent and received if they differ for a strategy.
        comparisons: a row for each strategy, the best first: its name, the runs that reached the target, bytes, the
            ratio to the bytes of the best, the ratio of steps to the reference, and remarks.
        notes: one line each. The first has the bytes sent and received of the strategies for which they differ.
    """

    sentence: str
    title: str = ""
    costs: Sequence[SummaryRow] = ()
    comparisons: Sequence[SummaryRow] = ()
    notes: Sequence[str] = ()


def closing_summary(results: Results) -> str:
    """Return the summary of one results folder as plain text without escape codes."""
    data = combine_results([results])
    return summary_text(conclude(data, next(iter(data.locks))))


def summary_text(conclusion: Conclusion) -> str:
    """Return a summary as lines of text, with aligned columns."""
    notes = [f"  {note}" for note in conclusion.notes]
    title = [conclusion.title] if conclusion.title else []
    return "\n".join([conclusion.sentence, *title, *_table(conclusion.costs), *_table(conclusion.comparisons), *notes])


def conclude(data: ReportData, suite: str) -> Conclusion:
    """Summarize one suite of a report, also if none of its cells has a result or none reached a target.

    Args:
        data: the data of all suites of the report.
        suite: the name of the suite.
    """
    data = for_suite(data, suite)
    targets = list(data.locks[suite].targets)
    left_out = _left_out(data)
    if data.finished.empty:
        return Conclusion(f"No cell of {suite} has a result yet.", notes=left_out)
    if not targets:
        sentence = "No target is set, so no cost to a target is compared."
        return Conclusion(sentence, _best_title(data), _best(data), (), left_out)
    headline, metric = data.headlines[suite], data.metric
    if data.at_suite_target.empty:
        sentence = f"No strategy reached {metric.format_target(headline.chosen)} ({headline.reason})."
        harder = _harder_targets(data, targets, headline.chosen)
        return Conclusion(sentence, _best_title(data), _best(data), (), [*harder, *left_out])
    outcomes = data.at_suite_target
    order = order_strategies(outcomes)
    more = len(order.labels) - MAX_ROWS
    notes = [f"and {more} more, in the report's table of all strategies"] if more > 0 else []
    notes += ["level: within a tenth of the fewest bytes, in the order of the suite"] if order.level > 1 else []
    notes += [RULE_OF_KEPT] if order.not_kept else []
    notes += [RULE] if order.less_often else []
    if metric.better(headline.chosen, headline.target):
        target_text = f"{metric.format_target(headline.chosen)} ({headline.reason})"
        easier = f"the {metric.hardest} target {metric.worse_side} it"
        notes.append(f"no strategy reached {target_text}; {headline.name} is {easier} that one reached")
    notes += [*_harder_targets(data, targets, metric.best((headline.target, headline.chosen))), *left_out]
    directions = direction_texts(outcomes[outcomes["reached"]], order.labels)
    by_direction = [f"{label} {text}" for label in order.labels if (text := directions.get(label))]
    if by_direction:
        notes.insert(0, f"{join_first(by_direction, MAX_ROWS)}; the {data.conventions} convention ranks by both")
    rows = _rows(outcomes, order)
    return Conclusion(sentence_of(outcomes, order, metric), _title(data, suite), (), rows, notes)


def _title(data: ReportData, suite: str) -> str:
    """The heading of the rows. Workloads and seeds are counted in the compared rows, not in the suite."""
    outcomes, headline = data.at_suite_target, data.headlines[suite]
    reached = outcomes.groupby(WORKLOAD)["reached"].any()
    workloads, seeds = len(reached), outcomes["seed"].nunique()
    over = f"geometric means over {plural(workloads, 'workload')}, {plural(seeds, 'seed')}"
    scope = "" if reached.all() else f"; reached on {int(reached.sum())} of {plural(workloads, 'workload')}"
    interval = ", 95 % CI" if seeds > 1 else ", no interval from one seed"
    convention = "" if data.conventions == "paper" else f"; {data.conventions} convention"
    budget = describe_budget([data.configs[cell_id] for cell_id in outcomes["cell_id"]])
    how = f", {headline.reason}" if headline.target == headline.chosen else ""
    return f"Bytes to {headline.name}{how} ({over}{interval}{scope}; {budget}{convention})"


def _rows(outcomes: pd.DataFrame, order: Order) -> list[SummaryRow]:
    """One row for each strategy, the best first; each other strategy is compared with the best."""
    best = outcomes[outcomes["label"] == order.labels[0]]
    rows: list[SummaryRow] = []
    for label in order.labels[:MAX_ROWS]:
        of_label = outcomes[outcomes["label"] == label]
        ratio = paired_ratio(of_label, best, "cost_bytes")
        compared = label != order.labels[0]
        words = format_times(ratio) or "not comparable" if compared else ""
        remarks = [_group(order, label), pair_words(ratio, of_label, best) if compared else ""]
        hits = of_label[of_label["reached"]]
        size = format_bytes(geometric_mean(hits["bytes_total"])) if len(hits) else ""
        steps = _steps(outcomes, of_label)
        rows.append((label, runs_of(of_label), size, words, steps, "; ".join(filter(None, remarks))))
    return rows


def _group(order: Order, label: str) -> str:
    if label in order.leading[: order.level]:
        return "level" if order.level > 1 else ""
    groups = {"not kept": order.not_kept, "less often": order.less_often, "never": order.never}
    return next((name for name, labels in groups.items() if label in labels), "")


def _steps(outcomes: pd.DataFrame, rows: pd.DataFrame) -> str:
    reference = outcomes[outcomes["reference"]]
    if reference.empty or bool(rows["reference"].all()) or not rows["reached"].any():
        return ""
    ratio = paired_ratio(rows, reference, "cost_steps")
    if not ratio.pairs:
        return ""
    limit = ratio.low if ratio.bound == "≥" else ratio.high if ratio.bound else ratio.mean
    number = format_ratio(limit if math.isfinite(limit) else ratio.mean)
    words = {"≥": "at least ", "≤": "at most ", "": ""}[ratio.bound]
    return f"{words}{number}x the steps of {join_first(labels_in_order(reference))}"


def _table(rows: Sequence[SummaryRow]) -> list[str]:
    """Lines with aligned columns; columns without text are left out."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def _best_title(data: ReportData) -> str:
    return f"Best {data.metric.title} and total bytes ({describe_budget(list(data.configs.values()))})"


def _best(data: ReportData) -> list[SummaryRow]:
    """The best value and the total bytes of each strategy, for suites in which no cost can be compared."""
    finished = data.finished
    directions = direction_texts(finished, data.labels)
    rows: list[SummaryRow] = []
    for label, runs in finished.groupby("label", sort=False):
        size = format_bytes(geometric_mean(runs["bytes_total"]))
        by_direction = [directions[str(label)]] if directions else []
        best = data.metric.format(float(runs["best_value"].mean()))
        rows.append((str(label), best, size, *by_direction, plural(len(runs), "cell")))
    means = data.metric.score(finished.groupby("label")["best_value"].mean())
    rows.sort(key=lambda row: -means[row[0]])
    return rows


def _harder_targets(data: ReportData, targets: Sequence[float], limit: float) -> list[str]:
    """One note for each target that is harder than `limit`: how many runs reached it."""
    notes = []
    metric = data.metric
    for target in metric.easiest_first(target for target in targets if metric.better(target, limit)):
        reached = data.outcomes.loc[data.outcomes["target"] == target, "reached"]
        runs = f"{int(reached.sum())} of {plural(len(reached), 'run')}" if reached.any() else "no run"
        notes.append(f"{metric.format_target(target)} was reached by {runs}")
    return notes


def _left_out(data: ReportData) -> list[str]:
    """One note for each state of cells that are left out or counted as missed, with their number and strategies."""
    runs = data.runs
    groups = {
        "diverged (counted as missed)": runs[runs["state"] == "diverged"],
        "failed (left out)": runs[runs["failed"]],
        "without a result yet (left out)": runs[~runs["finished"] & ~runs["failed"]],
    }
    return [
        f"{plural(len(rows), 'cell')} {state}: {join_first(list(dict.fromkeys(rows['label'])))}"
        for state, rows in groups.items()
        if len(rows)
    ]
