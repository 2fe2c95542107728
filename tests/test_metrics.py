"""Metrics: their values, their direction, and a suite whose metric is the loss from the run to the gate."""

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from fdabench.analysis.data import ReportData, combine_results
from fdabench.analysis.order import order_strategies
from fdabench.analysis.target import headline_of
from fdabench.cli.main import app
from fdabench.errors import SuiteError
from fdabench.gate.baseline.model import EvaluationProtocol, ResultsSummary, RunPair, RunSummary
from fdabench.gate.baseline.read import read_baseline
from fdabench.gate.compare.limits import check_limits_of_runs
from fdabench.gate.compare.noisy import check_noisy_metrics
from fdabench.gate.compare.samples import samples
from fdabench.gate.compare.settings import GateConfig, LimitConfig
from fdabench.gate.compare.verdict import Verdict
from fdabench.gate.output.cell_rows import quality_text
from fdabench.metrics import ACCURACY, LOSS, METRICS
from fdabench.report.tables.robust import restricted_frame
from fdabench.results.derive import derive_hits, derive_runs, first_evaluation_reaching
from fdabench.results.load import Results
from fdabench.results.suite_lock import SuiteLock
from fdabench.suite.reader import read_suite
from support.digits_results import SIX, Suite, write

SUITE = """
name = "by-loss"
seeds = [0, 1]
budget = { steps = 30 }
eval = { every_steps = 10, metric = "METRIC", targets = TARGETS, samples = 100 }
[[gate.limit]]
max_loss = 9.0
[[workload]]
dataset = "digits"
model = "mlp"
workers = 2
batch_size = 16
optimizer = { kind = "sgd", lr = 0.1 }
[[strategy]]
kind = "synchronous"
[[strategy]]
kind = "fedavg"
local_steps = 5
"""

CURVES = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=30)
# 1 - a is exact for these
SIXTY_FOURTHS = st.integers(7, 57).map(lambda number: number / 64)
TARGETS = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5, unique=True)


@given(CURVES, TARGETS, st.integers(1, 3), st.sampled_from([">=", ">"]))
def test_a_mirrored_curve_reaches_the_mirrored_targets_at_the_same_evaluations(
    curve: list[float], targets: list[float], consecutive: int, comparison: str
) -> None:
    # negation is exact in floating point, so the two cases have the same ties
    values, mirrored = pd.Series(curve), -pd.Series(curve)
    for target in targets:
        hit = first_evaluation_reaching(values, target, consecutive, comparison, ACCURACY)
        assert first_evaluation_reaching(mirrored, -target, consecutive, comparison, LOSS) == hit


@given(TARGETS, st.floats(0.01, 0.99))
def test_targets_are_mirrored_in_their_order(targets: list[float], value: float) -> None:
    mirrored = [-target for target in targets]
    assert LOSS.easiest_first(mirrored) == [-target for target in ACCURACY.easiest_first(targets)]
    assert LOSS.best(mirrored) == -ACCURACY.best(targets)
    assert LOSS.better(-value, mirrored[0]) == ACCURACY.better(value, targets[0])


def _lock(metric: str, targets: list[float]) -> SuiteLock:
    return SuiteLock.from_table(
        {
            "suite": "s",
            "seeds": [0],
            "metric": metric,
            "targets": targets,
            "consecutive": 1,
            "comparison": ">=",
            "convention": "paper",
            "cell": [],
        }
    )


@given(st.lists(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=8), min_size=1, max_size=5), TARGETS)
def test_the_headline_rule_chooses_the_mirrored_target(curves: list[list[float]], targets: list[float]) -> None:
    def headline(metric: str, sign: int) -> float:
        rows = [
            {
                "workload": "w",
                "label": str(i),
                "reference": False,
                "target": sign * target,
                "reached": METRICS[metric].reached(sign * pd.Series(curve), sign * target, ">=").any(),
            }
            for i, curve in enumerate(curves)
            for target in targets
        ]
        actual = headline_of(_lock(metric, [sign * target for target in targets]), pd.DataFrame(rows))
        return sign * actual.target

    assert headline("loss", -1) == pytest.approx(headline("accuracy", 1), nan_ok=True)


def _run(seed: int, accuracy: float, loss: float) -> RunSummary:
    return RunSummary(
        cell="a", seed=seed, id=str(seed), environment="e", state="done", num_parameters=1, seeds="", partition="",
        payload={}, theta=None, period=None, steps=1, syncs=1, sync_steps="", first_syncs=(), bytes_model=1,
        bytes_state=0, bytes_optimizer=0, bytes_total=1, accuracy=accuracy, bytes_to={}, steps_to={}, loss=loss,
    )  # fmt: skip


@given(st.lists(st.tuples(SIXTY_FOURTHS, SIXTY_FOURTHS), min_size=2, max_size=6))
def test_the_gate_judges_a_loss_as_it_judges_the_mirrored_accuracy(values: list[tuple[float, float]]) -> None:
    pairs = [RunPair(_run(i, a, 1 - a), _run(i, b, 1 - b)) for i, (a, b) in enumerate(values)]
    gate = GateConfig(accuracy_margin=0.02, loss_margin=0.02)
    (by_accuracy, *_), _ = check_noisy_metrics(samples(pairs, (), ACCURACY), gate)
    (by_loss, *_), _ = check_noisy_metrics(samples(pairs, (), LOSS), gate)
    assert by_accuracy.change is not None
    assert by_loss.change == pytest.approx(-by_accuracy.change)
    assert by_loss.verdict == by_accuracy.verdict


@pytest.fixture(scope="module")
def six_strategies(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return write(tmp_path_factory.mktemp("six"), Suite(SIX, seeds=(0, 1)))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.sampled_from([">=", ">"]))
def test_reports_of_a_metric_and_of_its_mirror_have_the_same_hits_order_and_restricted_means(
    six_strategies: Results, seed: int, consecutive: int, comparison: str
) -> None:
    rng = np.random.default_rng(seed)
    # few different values, so that targets are met exactly and strategies tie
    draws = rng.integers(1, 12, len(six_strategies.evals)) / 16
    targets = [0.25, 0.5, 0.625]

    def judged(metric: str, sign: int) -> ReportData:
        rules = {"metric": metric, "targets": [sign * target for target in targets]}
        rules |= {"consecutive": consecutive, "comparison": comparison}
        lock = six_strategies.lock.with_changes(rules)
        evals = six_strategies.evals.assign(**{f"test_{metric}": sign * draws})
        tables = lock, six_strategies.records, evals, six_strategies.ledger
        return combine_results(
            [replace(six_strategies, lock=lock, evals=evals, runs=derive_runs(*tables), hits=derive_hits(*tables))]
        )

    data, mirrored = judged("accuracy", 1), judged("loss", -1)
    costs = ["cell_id", "label", "reached", "cost_bytes", "cost_steps"]
    for part in ("outcomes", "at_suite_target", "at_workload_target"):
        one, other = getattr(data, part), getattr(mirrored, part)
        assert one["target"].tolist() == (-other["target"]).tolist()
        pd.testing.assert_frame_equal(one[costs], other[costs])
    assert order_strategies(data.at_suite_target) == order_strategies(mirrored.at_suite_target)
    one, other = restricted_frame(data), restricted_frame(mirrored)
    pd.testing.assert_frame_equal(one.drop(columns="target"), other.drop(columns="target"))


@pytest.mark.parametrize(
    ("metric", "before", "after", "verdict"),
    [
        # 0.03 bits are 0.0208 nats
        ("bits_per_byte", 2.0, 2.02, Verdict.passed),
        ("bits_per_byte", 2.0, 2.05, Verdict.fail),
        ("perplexity", 8.0, 8.05, Verdict.passed),
        ("perplexity", 8.0, 8.3, Verdict.fail),
    ],
)
def test_the_gate_judges_a_metric_in_its_unit(metric: str, before: float, after: float, verdict: Verdict) -> None:
    def nats(value: float) -> float:
        return value * math.log(2) if metric == "bits_per_byte" else math.log(value)

    noise = (-0.002, 0.0, 0.001, 0.001)
    pairs = [RunPair(_run(i, 0.5, nats(before)), _run(i, 0.5, nats(after + item))) for i, item in enumerate(noise)]
    (finding, *_), _ = check_noisy_metrics(samples(pairs, (), METRICS[metric]), GateConfig())
    assert (finding.metric, finding.verdict) == (metric, verdict)
    assert finding.before == pytest.approx(before)
    assert finding.change == pytest.approx(after - before)
    assert METRICS[metric].unit in quality_text(finding)


@pytest.mark.parametrize(
    ("limit", "value"), [("max_loss", math.log(8)), ("max_bits_per_byte", 3.0), ("max_perplexity", 8.0)]
)
def test_limits_of_the_loss_are_in_the_unit_that_their_key_names(limit: str, value: float) -> None:
    def verdict(most: float) -> Verdict:
        gate = GateConfig(limit=[LimitConfig.model_validate({"cells": ["0"], limit: most})])
        protocol = EvaluationProtocol("paper", (), 1, ">=", "accuracy")
        own = ResultsSummary("s", protocol, {}, (_run(0, 0.5, math.log(8)),))
        (finding,) = check_limits_of_runs(own, gate)
        assert (finding.metric, finding.after) == (limit, pytest.approx(value))
        return finding.verdict

    assert verdict(value * 1.01) == Verdict.unchanged
    assert verdict(value * 0.99) == Verdict.fail


def test_metrics_of_the_loss_by_hand() -> None:
    assert METRICS["bits_per_byte"].convert(math.log(8)) == pytest.approx(3.0)
    assert METRICS["perplexity"].convert(math.log(8)) == pytest.approx(8.0)
    assert METRICS["perplexity"].convert(1e6) == math.inf
    assert not METRICS["loss"].reached(pd.Series([math.nan]), 5.0, ">=").any()


@pytest.mark.parametrize(
    ("metric", "targets", "expected"),
    [
        ("accuracy", "[1.5]", "eval.targets.0: 1.5 is out of range: it must be at most 1"),
        ("loss", "[0.0]", "eval.targets.0: 0.0 is out of range: it must be more than 0"),
        ("perplexity", "[9, 1.0]", "eval.targets.1: 1.0 is out of range: it must be more than 1"),
        ("los", "[1.0]", 'did you mean "loss"?'),
    ],
)
def test_targets_are_in_the_range_of_the_metric(tmp_path: Path, metric: str, targets: str, expected: str) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(SUITE.replace("METRIC", metric).replace("TARGETS", targets))
    with pytest.raises(SuiteError) as caught:
        read_suite(path)
    assert expected in str(caught.value)


def test_the_default_metric_changes_neither_the_lock_nor_the_cells(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(SUITE.replace("METRIC", "accuracy").replace("TARGETS", "[0.5]"))
    named = read_suite(path)
    path.write_text(SUITE.replace('metric = "METRIC", ', "").replace("TARGETS", "[0.5]"))
    assert read_suite(path).to_lock().to_dict() == named.to_lock().to_dict()
    assert "metric" not in named.to_lock().to_dict()


def _fdabench(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.slow
def test_a_suite_judged_by_its_loss_end_to_end(tmp_path: Path) -> None:
    suite, results, baseline = tmp_path / "suite.toml", tmp_path / "results", tmp_path / "baseline.toml"
    suite.write_text(SUITE.replace("METRIC", "loss").replace("TARGETS", "[0.1, 2.3, 2.0]"))
    assert "nats" in _fdabench("run", suite, "-o", results)
    _fdabench("baseline", "save", results, "-o", baseline)
    table = tomllib.loads(baseline.read_text())
    assert table["metric"] == "loss"
    assert all(run["loss"] > 0 for run in table["runs"])
    assert read_baseline(baseline).snapshot.metric is LOSS
    assert "pass" in _fdabench("check", results, "--baseline", baseline)
    worse = baseline.read_text()
    for run in table["runs"]:
        worse = worse.replace(f"loss = {run['loss']}", "loss = 0.01")
    baseline.write_text(worse)
    assert "loss worse by more than the margin" in _fdabench("check", results, "--baseline", baseline, code=1)
    assert "nats" in _fdabench("compare", results, results)
    assert "loss: " in _fdabench("show", results, table["runs"][0]["id"])
