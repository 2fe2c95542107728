"""Answers the questions of the study's plan from its results, and writes them as tables.

    python suites/study/answers.py results/study-cifar10 results/study-shakespeare -o reports/study

Writes `answers.csv` (every number with both intervals), `answers.md` (the tables for readers), and `sensitivity.csv`:
the ratios of bytes and the rank correlations at each target, in each accounting convention. README.md of this folder
has the questions, and `docs/results.md` the statistics. A method that the results do not have is left out of the
tables, with a note.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import typer
from answer_tables import Answer, Interval, markdown, record_of
from candidates import METHODS, method_of
from scipy.stats import kendalltau

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.fleets import FLEETS, Fleet, fleet_time
from fdabench.analysis.data import WORKLOAD, ReportData, combine_results
from fdabench.analysis.paired import design_of, half_widths
from fdabench.analysis.stats import PAIR, paired_ratio
from fdabench.results.load import Results, in_convention, load
from fdabench.results.suite_lock import ConventionName

QUESTIONS = 8
LIKELY, CLEAR = 0.95, 1 - 0.05 / QUESTIONS
"""The levels of the two intervals; the second is Bonferroni's for eight questions."""
PAIRS = {
    1: [("LinearFDA", "FedAvg")],
    2: [("LinearFDA", "QSR")],
    3: [("LinearFDA Nesterov", "DiLoCo")],
    5: [(f"{method} {codec}", method) for codec in ("top-k", "int8") for method in ("FedAvg", "LinearFDA")],
    7: [("NaiveFDA", "LinearFDA"), ("SketchFDA", "LinearFDA")],
}
"""The methods whose bytes to the target each question compares."""
FLEET_NAMES = ("cluster", "mixed", "devices")
CONVENTIONS: Sequence[ConventionName] = ("paper", "star", "ring", "upload")
RESAMPLES = 1000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """The results of the study in one accounting convention: one `ReportData` for each suite, as metrics differ."""

    suites: Sequence[ReportData]

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """The outcomes of all suites, with the column `method`."""
        return self.with_methods(pd.concat([data.outcomes for data in self.suites], ignore_index=True))

    @cached_property
    def headline(self) -> pd.DataFrame:
        """The outcomes at the headline target of each suite."""
        return self.outcomes[self.outcomes["headline"]]

    def with_methods(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with the method of each row's cell as the column `method`."""
        configs = {key: config for data in self.suites for key, config in data.configs.items()}
        return frame.assign(method=[method_of(configs[cell].strategy.to_table()) for cell in frame["cell_id"]])


def study_of(results: Sequence[Results], convention: ConventionName) -> Study:
    return Study([combine_results([in_convention(item, convention)]) for item in results])


# Estimates


def ratio(frame: pd.DataFrame, top: str, bottom: str, cost: str) -> Interval | None:
    """Return the ratio of two methods' costs; None if a method is missing or no pair is informative."""
    sides = [frame[frame["method"] == method] for method in (top, bottom)]
    if any(side.empty for side in sides):
        return None
    likely, clear = (paired_ratio(sides[0], sides[1], cost, confidence) for confidence in (LIKELY, CLEAR))
    if math.isnan(likely.mean):
        return None
    return Interval(likely.mean, likely.low, likely.high, clear.low, clear.high, likely.bound, likely.pairs)


def difference(frame: pd.DataFrame, top: str, bottom: str, column: str) -> Interval | None:
    """Return the mean over workloads of top - bottom, paired by workload and seed; None if there are no pairs."""
    sides = [frame.loc[frame["method"] == method, [*PAIR, column]] for method in (top, bottom)]
    pairs = sides[0].merge(sides[1], on=PAIR, suffixes=("_t", "_b")).dropna()
    if pairs.empty:
        return None
    values = (pairs[f"{column}_t"] - pairs[f"{column}_b"]).to_numpy(float)
    places, seeds = pairs.groupby(WORKLOAD).ngroup().to_numpy(), pairs["seed"].to_numpy()
    designs = [design_of(places, seeds, confidence) for confidence in (LIKELY, CLEAR)]
    mean = float(values @ designs[0].weight_n)
    likely, clear = (float(half_widths(values[None], item)[0]) if item.has_chance else math.nan for item in designs)
    return Interval(mean, mean - likely, mean + likely, mean - clear, mean + clear, "", len(pairs))


def rank_correlation(outcomes: pd.DataFrame, first: str, second: str) -> Interval:
    """Return Kendall's tau of the methods' orders on two workloads, with percentile intervals over seeds.

    Methods are ranked by bytes for each seed, misses last and tied, and ordered by their mean rank over the seeds that
    they have a result for.
    """
    costs = outcomes["cost_bytes"].where(outcomes["reached"], math.inf)
    ranks = costs.groupby([outcomes["workload"], outcomes["seed"]]).rank()
    tables = [
        outcomes.assign(rank=ranks)[outcomes["workload"] == workload].pivot_table("rank", "method", "seed")
        for workload in (first, second)
    ]
    methods, seeds = (tables[0].index.intersection(tables[1].index), tables[0].columns.intersection(tables[1].columns))
    values = [table.loc[methods, seeds] for table in tables]
    random = np.random.default_rng(0)

    def tau(draw: npt.NDArray[np.integer]) -> float:
        return float(kendalltau(*(value.iloc[:, draw].mean(axis=1) for value in values), nan_policy="omit").statistic)

    plain = tau(np.arange(len(seeds)))
    if len(seeds) < 2:
        return Interval(plain, math.nan, math.nan, math.nan, math.nan, "", len(seeds))
    samples = np.array([tau(random.integers(len(seeds), size=len(seeds))) for _ in range(RESAMPLES)])
    ends = np.nanquantile(samples, [(1 - LIKELY) / 2, (1 + LIKELY) / 2, (1 - CLEAR) / 2, (1 + CLEAR) / 2])
    return Interval(plain, *map(float, ends), "", len(seeds))


# Answers


def ratios(
    frame: pd.DataFrame, question: int, what: str, pairs: Iterable[tuple[str, str]], cost: str
) -> Iterator[Answer]:
    """Yield the ratio of each pair of methods over all workloads, then of each suite, then of each workload."""
    for top, bottom in pairs:
        for where, rows in (("all", frame), *by_suite(frame), *by_workload(frame)):
            value = ratio(rows, top, bottom, cost)
            if value is not None:
                yield Answer(question, f"{what}, {top} / {bottom}", where, "ratio", value)


def by_suite(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the rows of each suite; nothing if there is only one."""
    suites = frame.groupby("suite", sort=False)
    return ((str(name), rows) for name, rows in suites if suites.ngroups > 1)


def by_workload(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the rows of each workload."""
    return ((": ".join(map(str, key)), rows) for key, rows in frame.groupby(WORKLOAD, sort=False))


def costs(study: Study, question: int) -> Iterator[Answer]:
    """Questions 1, 2, 3, 5 and 7: bytes to the headline target."""
    return ratios(study.headline, question, "bytes to the target", PAIRS[question], "cost_bytes")


def metrics(study: Study, question: int) -> Iterator[Answer]:
    """Questions 1 to 3: the difference of the metric at equal steps and at equal bytes, by suite and by workload."""
    ((top, bottom),) = PAIRS[question]
    for data in study.suites:
        runs = study.with_methods(data.finished)
        metric, suite = data.metric.name, next(iter(data.locks))
        frames = {
            "at equal steps": runs.assign(value=runs["final_value"]),
            "at equal bytes": at_equal_bytes(data, runs[runs["method"].isin([top, bottom])]),
        }
        for name, frame in frames.items():
            for where, rows in ((suite, frame), *by_workload(frame)):
                value = difference(rows, top, bottom, "value")
                if value is not None:
                    yield Answer(question, f"{metric} {name}, {top} - {bottom}", where, metric, value)


def at_equal_bytes(data: ReportData, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with `value`: the metric at the last evaluation before the fewest bytes of workload and seed."""
    limits = runs.assign(limit=runs.groupby(PAIR)["bytes_total"].transform("min"))[["cell_id", "limit"]]
    evals = data.evals.merge(limits, on="cell_id")
    last = evals[evals["bytes_total"] <= evals["limit"]].groupby("cell_id").tail(1)
    values = pd.Series(data.metric.of(last, "test").to_numpy(float), index=last["cell_id"])
    return runs.assign(value=runs["cell_id"].map(values))


def barrier(study: Study) -> Iterator[Answer]:
    """Question 4: the modeled time to the target on three fleets."""
    pairs = [(top, "DDP") for top in ("LinearFDA", "LinearFDA lag 5", "FedAvg")]
    pairs += [("LinearFDA", "FedAvg"), ("LinearFDA lag 5", "LinearFDA")]
    for name in FLEET_NAMES:
        frame = study.with_methods(pd.concat([with_times(data, FLEETS[name]) for data in study.suites]))
        yield from ratios(frame, 4, f"time to the target on {name}", pairs, "cost_seconds")


def with_times(data: ReportData, fleet: Fleet) -> pd.DataFrame:
    """Return the outcomes at the headline target with `cost_seconds`, and with what a ratio needs besides.

    The seconds of a local step are the median over the workload's cells of what the simulation took, as in the report.
    """
    rates = data.finished.groupby(WORKLOAD)["worker_steps_per_s"].median()
    ledgers = {str(cell): rows for cell, rows in data.ledger.groupby("cell_id")}
    after_sync = data.evals[data.evals["after_sync"].astype(bool)]
    synced = set(zip(after_sync["cell_id"], after_sync["step"], strict=True))
    rows = []
    for row in data.at_suite_target.to_dict("records"):
        steps = [row["cost_steps_before"], row["cost_steps"], row["cost_steps_limit"]]
        before, spent, limit = (
            math.nan
            if math.isnan(step)
            else fleet_time(
                ledgers[row["cell_id"]],
                EvalPoint(int(step), (row["cell_id"], int(step)) in synced),
                int(row["workers"]),
                data.locks[row["suite"]].convention,
                fleet,
                1 / rates[row["suite"], row["workload"]],
                int(row["seed"]),
            ).total
            for step in steps
        )
        rows.append({**row, "cost_seconds_before": before, "cost_seconds": spent, "cost_seconds_limit": limit})
    return pd.DataFrame(rows)


def heterogeneity(outcomes: pd.DataFrame) -> Iterator[Answer]:
    """Question 6: Kendall's tau of the order by bytes between partitions of a workload, from outcomes at one target."""
    for suite, rows in outcomes.groupby("suite", sort=False):
        for first, second in combinations(dict.fromkeys(rows["workload"]), 2):
            value = rank_correlation(rows, first, second)
            yield Answer(6, f"Kendall's tau, {first} and {second}", str(suite), "tau", value)


def state_shares(study: Study) -> Iterator[Answer]:
    """Question 7: the share of local states in the bytes to the target."""
    hits = study.headline[study.headline["reached"].astype(bool)]
    for method in ("NaiveFDA", "LinearFDA", "SketchFDA"):
        actual = hits[hits["method"] == method]
        if len(actual):
            share = float((actual["bytes_state"] / actual["bytes_total"]).mean())
            value = Interval(share, math.nan, math.nan, math.nan, math.nan, "", len(actual))
            yield Answer(7, f"share of local states in the bytes, {method}", "all", "share", value)


def bytes_by_convention(studies: Mapping[ConventionName, Study]) -> Iterator[Answer]:
    """Question 8: bytes of each method relative to DDP in each accounting convention.

    First come the numbers over all workloads, then those of each suite and of each workload. The methods are in the
    order of their bytes, those with a bound last.
    """
    pairs = [(method, "DDP") for method in METHODS.values() if method != "DDP"]
    for name, study in studies.items():
        actual = list(ratios(study.headline, 8, f"bytes to the target ({name})", pairs, "cost_bytes"))
        places = list(dict.fromkeys(["all", *(item.where for item in actual)]))
        yield from sorted(actual, key=lambda item: (places.index(item.where), item.value.bound != "", item.value.mean))


def sensitivity(studies: Mapping[ConventionName, Study]) -> Iterator[dict[str, object]]:
    """Yield the ratios of bytes and the rank correlations at every target of each suite, in every convention."""
    for name, study in studies.items():
        for (suite, target), rows in study.outcomes.groupby(["suite", "target"], sort=False):
            items = [
                item
                for question, pairs in PAIRS.items()
                for item in ratios(rows, question, "bytes to the target", pairs, "cost_bytes")
            ]
            for item in (*items, *heterogeneity(rows)):
                yield {"convention": name, "suite": suite, "target": target, **record_of(item)}


def answers(studies: Mapping[ConventionName, Study]) -> Iterator[Answer]:
    """Yield all numbers of the study, by question; those of the questions 1 to 7 are in the convention `paper`."""
    study = studies["paper"]
    for question in (1, 2, 3):
        yield from costs(study, question)
        yield from metrics(study, question)
    yield from barrier(study)
    yield from costs(study, 5)
    yield from heterogeneity(study.headline)
    yield from costs(study, 7)
    yield from state_shares(study)
    yield from bytes_by_convention(studies)


def main(
    folders: Annotated[
        list[Path], typer.Argument(exists=True, help="Results of the study's suites: folders or archives.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder of the tables.")] = Path("reports/study"),
) -> None:
    """Write answers.csv, answers.md and sensitivity.csv."""
    results = [load(folder) for folder in folders]
    studies = {name: study_of(results, name) for name in CONVENTIONS}
    rows = list(answers(studies))
    at_targets = list(sensitivity(studies))
    missing = sorted(set(METHODS.values()) - set(studies["paper"].headline["method"]))
    if not rows:
        raise typer.BadParameter("the results have no two methods of the study that reached a target")
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([record_of(item) for item in rows]).to_csv(out / "answers.csv", index=False)
    pd.DataFrame(at_targets).to_csv(out / "sensitivity.csv", index=False)
    (out / "answers.md").write_text(f"# Answers of the study\n\n{markdown(rows)}", encoding="utf-8")
    if missing:
        typer.echo(f"note: no results of {', '.join(missing)}", err=True)
    typer.echo(f"3 files in {out}")


if __name__ == "__main__":
    typer.run(main)
