"""Finds properties of the results that limit their interpretation, such as few seeds or failed cells.

`report.build` calls `find_caveats` and prints the sentences that it returns.
"""

from collections.abc import Callable, Iterator

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.evaluations import (
    hits_before_the_first_sync,
    hits_lost_again,
    hits_lost_at_the_end,
    margins_under_one_evaluation,
)
from fdabench.formatting import (
    format_bytes,
    format_component,
    format_percent,
    join_first,
    plural,
    strip_paths,
)
from fdabench.report.budgets import describe_budget, distinct_budgets

FEW_SEEDS = 3
"""A strategy with fewer finished seeds on a workload gives a caveat."""
LARGE_STATE = 0.1
"""A caveat names strategies whose messages of local states have more than this share of the bytes of their models."""
COARSE = 0.1
"""The interval between evaluations, as a share of the steps to the target, above which evaluations are too rare."""
UNEQUAL = 0.1
"""The relative difference of bytes sent and received above which a caveat names a strategy with a codec."""
MIN_THETAS = 3
"""The figure of a sweep is drawn for at least this number of values of theta."""
_ENVIRONMENT = ("fdabench", "git", "python", "torch", "numpy", "platform", "device", "capability", "blas", "threads")


def find_caveats(data: ReportData) -> list[str]:
    """Return the caveats that apply to these results, each of one or two sentences. Empty if none applies."""
    return [text for check in _CHECKS for text in check(data)]


def _incomplete(data: ReportData) -> Iterator[str]:
    runs = data.runs
    waiting = runs[~runs["finished"] & ~runs["failed"]]
    if len(waiting):
        share = f"{len(waiting)} of {plural(len(runs), 'cell')}"
        yield f"{share} have no result yet and are left out: {_names(waiting)}."
    for _, run in runs[runs["failed"]].iterrows():
        error = (data.records[run["cell_id"]].error or "no error recorded").strip()
        last_line = strip_paths(error.splitlines()[-1])
        cell = f"{run['label']}, {run['workload']}, seed {run['seed']}"
        yield f"Failed, and left out: {cell} ({run['state']}: {last_line})."
    diverged = runs[runs["state"] == "diverged"]
    if len(diverged):
        cells = plural(len(diverged), "cell")
        treatment = "counted as missed, in ratios as a cost above all others; left out of accuracies"
        yield f"{cells} diverged; {treatment}: {_names(diverged)}."


def _names(runs: pd.DataFrame) -> str:
    return join_first([f"{row['label']} ({row['workload']}, seed {row['seed']})" for _, row in runs.iterrows()], 4)


def _few_seeds(data: ReportData) -> Iterator[str]:
    sizes = data.finished.groupby(["suite", "workload", "label"], sort=False).size()
    if len(sizes) and sizes.min() < FEW_SEEDS:
        num_small = int((sizes < FEW_SEEDS).sum())
        yield (
            f"Few seeds: {num_small} of {plural(len(sizes), 'pair')} of workload and strategy have fewer than "
            f"{FEW_SEEDS} finished seeds (least: {sizes.min()}). Their intervals are wide "
            "or missing; differences may be noise."
        )


def _unequal_hits(data: ReportData) -> Iterator[str]:
    hits = data.at_suite_target.groupby("label", sort=False)["reached"].agg(["sum", "size"])
    rates = (hits["sum"] / hits["size"]).sort_values(ascending=False, kind="stable")
    if rates.nunique() > 1:
        groups: dict[str, list[str]] = {}
        for label in rates.index:
            groups.setdefault(f"{hits['sum'][label]} of {hits['size'][label]} runs", []).append(label)
        texts = [f"{join_first(labels)} ({count})" for count, labels in groups.items()]
        yield (
            f"Unequal hit rates at the headline target: {'; '.join(texts)}. A mean over the cells that reached it is a "
            "mean over easier cells; a ratio counts a missed target as more than the bytes that the cell spent."
        )


def _chosen_after_runs(data: ReportData) -> Iterator[str]:
    for suite, headline in data.headlines.items():
        if headline.after_runs and not data.finished.empty:
            target = headline.metric.format_target(headline.chosen)
            yield (
                f"The headline target of {suite}, {target}, was chosen after the runs: "
                f"{headline.reason}. Adding a strategy may change it; eval.headline sets it before the runs."
            )


def _unreached_workloads(data: ReportData) -> Iterator[str]:
    best = data.outcomes.groupby([*WORKLOAD, "target"], sort=False)["reached"].any()
    by_workload = best[~best].reset_index().groupby(WORKLOAD, sort=False)["target"]
    for (suite, workload), targets in by_workload:
        names = join_first([data.metric.format_target(target) for target in targets], 8)
        yield f"No strategy reached {names} on {data.workload_title(suite, workload)}."


def _no_target(data: ReportData) -> Iterator[str]:
    for suite, lock in data.locks.items():
        if not lock.targets:
            yield f"Suite {suite} sets no target {lock.metric.replace('_', ' ')}, so no cost to a target is compared."


def _mixed_environments(data: ReportData) -> Iterator[str]:
    for key in _ENVIRONMENT:
        values = sorted({str(record.environment.get(key, "unknown")) for record in data.records.values()})
        if len(values) > 1:
            yield f"Mixed environments: cells differ in {key} ({join_first([strip_paths(value) for value in values])})."


def _large_state(data: ReportData) -> Iterator[str]:
    per_cell = data.ledger.pivot_table(index=["label", "cell_id"], columns="kind", values="payload_bytes", sort=False)
    if not {"state", "model"} <= set(per_cell.columns):
        return
    share = (per_cell["state"] / per_cell["model"]).groupby("label", sort=False).max()
    for label, value in share[share > LARGE_STATE].items():
        yield (
            f"{label}: one local state is {format_percent(value)} of one model. On a model this small, monitoring "
            "costs about what it saves; its bytes do not predict those of larger models."
        )


def _up_and_down(data: ReportData) -> Iterator[str]:
    """Yield one sentence if a codec makes workers send much less or more than they receive."""
    packed = data.finished[data.finished["codec"] != ""].groupby("label", sort=False)[["bytes_up", "bytes_down"]].mean()
    unequal = packed[(packed["bytes_up"] / packed["bytes_down"].clip(lower=1) - 1).abs() > UNEQUAL]
    if len(unequal):
        parts = [
            f"{label} {format_bytes(row['bytes_up'])} up and {format_bytes(row['bytes_down'])} down"
            for label, row in unequal.iterrows()
        ]
        yield (
            f"Up and down differ: {join_first(parts, 8)} over a whole run ({data.conventions}). Strategies may rank "
            "differently if one direction of a link is slower, or under another convention."
        )


def _coarse(data: ReportData) -> Iterator[str]:
    hits = data.at_suite_target[data.at_suite_target["reached"]]
    if hits.empty:
        return
    gap = ((hits["step"] - hits["step_before"]) / hits["step"]).groupby(hits["label"], sort=False).median()
    if gap.max() > COARSE:
        yield (
            f"Coarse evaluation: the target was reached within the interval before the evaluation that measured it, "
            f"which is up to {format_percent(gap.max(), 0)} of the steps (median of {gap.idxmax()})."
        )


def _two_thetas(data: ReportData) -> Iterator[str]:
    thetas = data.runs.dropna(subset="theta").groupby([*WORKLOAD, "family"])["theta"].nunique()
    if len(thetas) and thetas.max() == MIN_THETAS - 1:
        yield (
            f"No figure shows the cost against theta: it needs {MIN_THETAS} values of theta, and there are "
            f"{thetas.max()}."
        )


def _optimizers(data: ReportData) -> Iterator[str]:
    """Yield a caveat if strategies of the same workload differ in their optimizer.

    Differences between workloads give none, because the titles of the workloads name the optimizer.
    """
    different: dict[str, list[str]] = {}
    for _, runs in data.runs.groupby(WORKLOAD, sort=False):
        by_optimizer: dict[str, list[str]] = {}
        for cell_id, label in zip(runs["cell_id"], runs["label"], strict=True):
            by_optimizer.setdefault(format_component(data.configs[cell_id].optimizer.to_table()), []).append(label)
        for optimizer, labels in by_optimizer.items() if len(by_optimizer) > 1 else ():
            different.setdefault(optimizer, []).extend(labels)
    if different:
        parts = "; ".join(f"{name}: {join_first(list(dict.fromkeys(labels)))}" for name, labels in different.items())
        yield f"Local optimizers differ, so more than the synchronization is compared. {parts}."


def _budgets(data: ReportData) -> Iterator[str]:
    configs = list(data.configs.values())
    if len(distinct_budgets(configs)) > 1:
        yield f"Budgets are not equal ({describe_budget(configs)}), so a missed target is not comparable between them."


def _tuning(data: ReportData) -> Iterator[str]:
    for suite, lock in data.locks.items():
        if not lock.tuning:
            yield (
                f"Suite {suite} does not state how values were chosen; a badly tuned baseline makes the other "
                "strategies look better."
            )


_CHECKS: tuple[Callable[[ReportData], Iterator[str]], ...] = (
    _incomplete,
    _chosen_after_runs,
    hits_lost_at_the_end,
    hits_before_the_first_sync,
    margins_under_one_evaluation,
    hits_lost_again,
    _few_seeds,
    _no_target,
    _unreached_workloads,
    _unequal_hits,
    _coarse,
    _large_state,
    _up_and_down,
    _optimizers,
    _two_thetas,
    _budgets,
    _mixed_environments,
    _tuning,
)
