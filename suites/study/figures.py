"""Draws the figures of the study.

    python suites/study/figures.py reports/study/answers.csv --outcomes reports/study/outcomes.csv -o reports/study \\
        --tuning results/study-tuning-cifar10 --tuning results/study-tuning-cifar10-near

`bytes-vs-ddp-NAME` has the bytes of each method to the headline target of a suite, divided by DDP's, with both
intervals, one panel for each workload. It shows `answers.csv`, which `answers.py` writes, and marks methods that
`outcomes.csv` says reached the target before their first sync. `learning-rates-NAME` has the final metric of each
candidate of a tuning suite by learning rate, one panel for each method.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from candidates import METHODS, runs_with_methods
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

import fdabench
from fdabench.metrics import METRICS, Metric
from fdabench.report.page.render import house_style

WIDTH = 6.3
"""Inches, the width of a page of text."""
COLUMNS = 3
LINE, LIGHT = "#1f4e79", "#8fb3d9"


def draw_ratios(answers: pd.DataFrame, unsynchronized: Collection[tuple[str, str]] = ()) -> Figure:
    """Draw the ratio of each method's bytes to DDP's, one panel for each workload, the fewest bytes on top.

    Args:
        answers: the rows of `answers.csv` of one suite whose question is 8 and whose convention is `paper`.
        unsynchronized: workload and method of those that reached the target before their first sync in most of their
            runs.
    """
    rows = answers.assign(
        method=lambda frame: frame["number"].str.extract(r", (.+) / DDP$")[0],
        bound=lambda frame: frame["bound"].fillna(""),
    )
    logs = np.log(rows["mean"].where(rows["bound"] == "")).groupby(rows["method"]).mean()
    names = list(logs.sort_values(ascending=False, na_position="first").index)
    workloads = list(dict.fromkeys(rows["where"]))
    height = 1.2 + 0.2 * len(names)
    figure, grid = plt.subplots(
        1,
        len(workloads),
        figsize=(WIDTH, height),
        sharex=True,
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for axes, workload in zip(grid[0], workloads, strict=True):
        for row in rows[rows["where"] == workload].to_dict("records"):
            early = (workload, row["method"]) in unsynchronized
            _interval(axes, float(names.index(row["method"])), row, "white" if early else LINE)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_title(_short_name(workload), fontsize="small")
        axes.grid(visible=True, axis="x")
        axes.tick_params(axis="y", length=0)
    first = grid[0][0]
    first.set_yticks(range(len(names)), names)
    first.set_ylim(-0.7, len(names) - 0.3)
    first.set_xscale("log")
    first.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    # `supxlabel` and a legend outside would be drawn at the same place. The label is in the middle of all panels, which
    # is the right edge of a panel if there is an even number of them.
    label = "bytes to the headline target, relative to gradient averaging at every step (DDP)"
    middle = grid[0][(len(workloads) - 1) // 2]
    middle.set_xlabel(label, x=0.5 if len(workloads) % 2 else 1.0, fontsize="small")
    keys = [
        plt.Line2D([], [], color=LINE, marker="o", linewidth=2.4, label="mean, 95 % interval"),
        plt.Line2D([], [], color=LIGHT, linewidth=1.2, label="99.4 % interval"),
    ]
    if (rows["bound"] != "").any():
        label = "at least: runs missed the target"
        keys.append(plt.Line2D([], [], color=LINE, marker=">", markerfacecolor="white", linewidth=0, label=label))
    if unsynchronized:
        label = "mean; reached before the first sync"
        keys.append(plt.Line2D([], [], color=LINE, marker="o", markerfacecolor="white", linewidth=2.4, label=label))
    figure.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 3), frameon=False)
    return figure


def _short_name(workload: str) -> str:
    """The model with its data and the partition, in two lines: "suite: cifar10 cnn, K=8, b=32, iid" has three parts."""
    model, *_, partition = workload.rpartition(": ")[2].split(", ")
    return f"{model}\n{partition}"


def _interval(axes: Axes, place: float, row: Mapping[Hashable, Any], fill_of_mean: str) -> None:
    bound = row["bound"] if isinstance(row["bound"], str) else ""
    if not bound:
        axes.plot([row["clear_low"], row["clear_high"]], [place] * 2, color=LIGHT, linewidth=1.2, zorder=2)
        axes.plot([row["low"], row["high"]], [place] * 2, color=LINE, linewidth=2.4, zorder=3)
    marker, fill = {"": ("o", fill_of_mean), "≥": (">", "white"), "≤": ("<", "white")}[bound]
    axes.plot(row["mean"], place, marker, color=LINE, markerfacecolor=fill, markersize=5, zorder=4)


def draw_learning_rates(folders: Sequence[Path]) -> tuple[str, Figure]:
    """Draw the final metric of each candidate by learning rate.

    Args:
        folders: results of tuning suites of one workload.

    Returns:
        The name of the first suite without `study-tuning-`, and the figure.
    """
    views = [fdabench.load(folder) for folder in folders]
    lock = views[0].results.lock
    metric = METRICS[lock.metric]
    runs = pd.concat([runs_with_methods(view) for view in views], ignore_index=True)
    runs = runs.assign(value=metric.of(runs, "final").where(runs["state"] != "diverged"))
    # a few candidates are far worse than all others; they are drawn at the edge, so that the others can be told apart
    worst = metric.score(runs["value"]).quantile(0.1)
    runs = runs.assign(
        clipped=metric.score(runs["value"]) < worst, value=metric.score(metric.score(runs["value"]).clip(worst))
    )
    methods = [method for method in METHODS.values() if method in set(runs["method"])]
    height = -(-len(methods) // COLUMNS)
    figure, grid = plt.subplots(
        height,
        COLUMNS,
        figsize=(WIDTH, 1.1 * height + 0.6),
        sharex=True,
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for panel, method in zip(grid.flat, methods, strict=False):
        _points(panel, runs[runs["method"] == method], metric, method)
    for panel in grid.flat[len(methods) :]:
        panel.set_visible(False)
    rates = sorted(runs["lr"].unique())
    ticks = [rates[0], rates[len(rates) // 2], rates[-1]]
    grid.flat[0].set_xscale("log")
    grid.flat[0].set_xticks(ticks, [f"{1000 * rate:.2g}" for rate in ticks])
    grid.flat[0].minorticks_off()
    figure.supxlabel("learning rate of the local optimizer, in thousandths")
    grid.flat[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: metric.format_target(round(value, 6))))
    figure.supylabel(f"final {metric.title} (×: at the edge of the panel, or worse)")
    return lock.suite.removeprefix("study-tuning-"), figure


def _points(axes: Axes, runs: pd.DataFrame, metric: Metric, method: str) -> None:
    """Draw a point for each candidate, and a line through the best one of each learning rate."""
    within, clipped = runs[~runs["clipped"]], runs[runs["clipped"]]
    axes.plot(within["lr"], within["value"], "o", color=LIGHT, markersize=3)
    axes.plot(clipped["lr"], clipped["value"], "x", color=LIGHT, markersize=4)
    scores = metric.score(runs["value"]).groupby(runs["lr"]).max()
    axes.plot(scores.index, metric.score(scores), color=LINE, marker="o", markersize=3, linewidth=1.2)
    axes.set_title(method, fontsize="small")
    axes.grid(visible=True)


def main(
    answers: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="answers.csv, which answers.py writes.")],
    tuning: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="Results of tuning suites of one workload: folders or archives."),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder of the figures.")] = Path("reports/study"),
    outcomes: Annotated[Path | None, typer.Option(exists=True, help="outcomes.csv, which outcomes.py writes.")] = None,
) -> None:
    """Write the figures as PNG and PDF."""
    table = pd.read_csv(answers)
    paper = table[(table["question"] == 8) & table["number"].str.contains(r"\(paper\)")]
    unsynchronized = [] if outcomes is None else _unsynchronized(pd.read_csv(outcomes))
    out.mkdir(parents=True, exist_ok=True)
    with house_style():
        figures = dict(_ratios_by_suite(paper, unsynchronized)) | ({} if not tuning else dict([_named(tuning)]))
        for name, figure in figures.items():
            for ending in ("png", "pdf"):
                figure.savefig(out / f"{name}.{ending}")
            plt.close(figure)
    typer.echo(f"{2 * len(figures)} files in {out}")


def _ratios_by_suite(answers: pd.DataFrame, unsynchronized: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Figure]]:
    """The name and the figure of each suite's ratios."""
    of_workloads = answers[answers["where"].str.contains(": ")]
    for name, rows in of_workloads.groupby(of_workloads["where"].str.split(": ").str[0], sort=False):
        early = [(where, method) for where, method in unsynchronized if where.startswith(f"{name}: ")]
        yield f"bytes-vs-ddp-{name.removeprefix('study-')}", draw_ratios(rows, early)


def _unsynchronized(outcomes: pd.DataFrame) -> list[tuple[str, str]]:
    """The methods that reached the easiest target of a workload before their first sync in most of their runs."""
    where = outcomes["suite"] + ": " + outcomes["workload"]
    easiest = outcomes.groupby([where, "method"]).first()
    early = easiest["without_sync"] > easiest["reached"] / 2
    return list(easiest[early].index)


def _named(tuning: Sequence[Path]) -> tuple[str, Figure]:
    name, figure = draw_learning_rates(tuning)
    return f"learning-rates-{name}", figure


if __name__ == "__main__":
    typer.run(main)
