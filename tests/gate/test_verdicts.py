"""The verdicts of the gate on synthetic runs: accuracy, missed targets, costs, limits, and missing runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fdabench.errors import NotComparedError
from fdabench.gate.baseline.model import RunSummary, Sync, UnfinishedRun
from fdabench.gate.compare.check import check, check_limits
from fdabench.gate.compare.first_difference import first_differing_sync
from fdabench.gate.compare.settings import GateConfig, LimitConfig, read_gate_settings
from fdabench.gate.compare.verdict import CheckResult, Finding, Verdict
from support.digits_results import make_lock
from support.gate_runs import make_run, make_snapshot

Compare = Callable[..., CheckResult]
SEEDS = range(5)
NOISE = (0.0010, -0.0008, 0.0004, -0.0011, 0.0006)


def cells(count: int = 4, accuracy: float = 0.9, seeds: Sequence[int] = SEEDS, **changes: Any) -> list[RunSummary]:
    return [make_run(f"cell {c}", s, accuracy + NOISE[(s + c) % 5], **changes) for c in range(count) for s in seeds]


def moved(runs: Sequence[RunSummary], points: float, cell: str = "cell 0") -> list[RunSummary]:
    """Change the accuracy of one cell by this many points, and that of all cells by a small noise."""
    shift = {run.id: points / 100 if run.cell == cell else 0.0 for run in runs}
    return [
        replace(run, accuracy=run.accuracy + shift[run.id] + NOISE[i * 2 % 5] / 3, environment="there")
        for i, run in enumerate(runs)
    ]


def of(checked: CheckResult, cell: str, metric: str) -> Finding:
    (actual,) = [item for item in checked.findings if (item.cell, item.metric, item.seed) == (cell, metric, None)]
    return actual


@pytest.mark.parametrize(
    ("points", "verdict"), [(-1.5, "fail"), (-0.5, "inconclusive"), (-0.05, "pass"), (1.5, "pass")]
)
def test_the_verdicts_about_accuracy_are_pass_fail_and_undecided(
    compared: Compare, points: float, verdict: str
) -> None:
    before = cells()
    checked = compared(before, moved(before, points))
    actual = of(checked, "cell 0", "accuracy")
    assert actual.verdict == verdict
    assert actual.change == pytest.approx(points / 100, abs=2e-4)
    low, high = actual.interval or (0.0, 0.0)
    assert low < actual.change < high  # type: ignore[operator]
    assert checked.exit_code == (1 if verdict == "fail" else 0)
    assert replace(checked, strict=True).exit_code == (0 if verdict == "pass" else 1)


def test_the_margin_of_the_suite_is_used(compared: Compare) -> None:
    before = cells()
    after = moved(before, -1.5)
    assert of(compared(before, after, accuracy_margin=0.03), "cell 0", "accuracy").verdict == Verdict.passed


def test_one_seed_detects_a_large_loss_and_not_a_small_one(compared: Compare) -> None:
    before = cells(1, seeds=[0])
    assert compared(before, moved(before, -1.5)).exit_code == 0
    assert of(compared(before, moved(before, -1.5)), "cell 0", "accuracy").verdict == Verdict.inconclusive
    assert compared(before, moved(before, -6.0)).exit_code == 1


def test_a_cost_on_another_machine_is_noisy_and_on_this_one_exact(compared: Compare) -> None:
    before = cells()
    dearer = [replace(run, bytes_total=run.bytes_total + 40 + 8 * run.seed) for run in before]
    here = compared(before, dearer)
    assert {(item.kind, item.metric) for item in here.failures} == {("B", "bytes_total")}
    assert compared(before, dearer, soft=0.01).exit_code == 0
    assert compared(before, dearer, soft=0.0001).exit_code == 1
    there = compared(before, [replace(run, environment="there") for run in dearer])
    assert there.exit_code == 0
    assert of(there, "cell 1", "bytes_total").verdict == Verdict.passed


def test_a_small_extra_cost_in_all_cells_is_detected_by_the_mean(compared: Compare) -> None:
    before = cells(6)
    spread = [
        replace(run, bytes_total=int(run.bytes_total * (1.02 + 5 * NOISE[i * 3 % 5]))) for i, run in enumerate(before)
    ]
    checked = compared(before, [replace(run, environment="there") for run in spread])
    assert not checked.failures
    assert [(level.metric, level.verdict) for level in checked.suite_wide_tests] == [("bytes_total", Verdict.fail)]
    assert checked.exit_code == 1


def test_a_cost_that_doubled_on_another_machine_fails(compared: Compare) -> None:
    before = cells()
    dearer = [
        replace(run, bytes_total=(2000 + run.seed) * run.bytes_total // 1000, environment="there") for run in before
    ]
    checked = compared(before, dearer)
    assert checked.exit_code == 1
    assert of(checked, "cell 0", "bytes_total").change == pytest.approx(1.0, abs=0.01)


def test_fewer_bytes_pass_and_suggest_a_new_baseline(compared: Compare) -> None:
    before = cells(1)
    checked = compared(before, [replace(run, bytes_to={"0.9": 40_000}) for run in before])
    assert {item.verdict for item in checked.changed_findings} == {Verdict.better}
    assert checked.exit_code == 0


def test_a_lost_target_fails_in_the_same_environment_and_is_a_bound_in_another(compared: Compare) -> None:
    before = cells(1)
    misses = [replace(run, bytes_to={} if run.seed == 0 else run.bytes_to) for run in before]
    (failure,) = compared(before, misses).failures
    assert (failure.metric, failure.after) == ("bytes_to 0.9", "missed")
    elsewhere = compared(before, [replace(run, environment="there") for run in misses])
    assert of(elsewhere, "cell 0", "bytes_to 0.9").verdict == Verdict.inconclusive
    assert of(elsewhere, "cell 0", "bytes_to 0.9").note.startswith("≥: a seed misses the target now; ")
    (won,) = compared(misses, before).changed_findings
    assert (won.verdict, won.before) == (Verdict.better, "missed")


def test_divergence_fails_in_any_environment(compared: Compare) -> None:
    before = cells(1)
    gone = [replace(run, state="diverged", accuracy=float("nan"), environment="there") for run in before]
    assert {item.metric for item in compared(before, gone).failures} == {"state"}
    assert compared(gone, gone).exit_code == 0


def test_values_of_formulas_must_be_equal_in_any_environment(compared: Compare) -> None:
    before = cells(1)
    after = [replace(run, payload={**run.payload, "state": (4,)}, environment="there") for run in before]
    assert {(item.kind, item.metric) for item in compared(before, after).failures} == {("A", "payload.state")}


def test_missing_runs_fail_the_gate_and_new_ones_do_not(compared: Compare) -> None:
    before = cells(2)
    fewer = compared(before, before[:-1])
    assert (fewer.exit_code, [run.name for run in fewer.missing]) == (4, ["cell 1 s4"])
    more = compared(before[:-1], before)
    assert (more.exit_code, more.added) == (0, ("cell 1 s4",))


def test_a_regression_is_reported_even_where_runs_are_missing(compared: Compare) -> None:
    before = cells(2)
    assert compared(before, [replace(before[0], syncs=9), *before[1:-1]]).exit_code == 1


def test_a_cell_without_a_result_fails_the_gate() -> None:
    before = make_snapshot(cells(1))
    after = replace(before, unfinished={"9": UnfinishedRun("cell 9", "cell 9 s0", "failed")})
    assert check(before, after, GateConfig(), after, "b.toml").exit_code == 4
    gone = UnfinishedRun("cell 0", "cell 0 s0", "lost")
    lost = replace(before, runs=before.runs[1:], unfinished={before.runs[0].id: gone})
    assert check(before, lost, GateConfig(), lost, "b.toml").missing == (gone,), "told once, with its state"


def test_results_without_common_runs_are_not_compared_and_the_reason_is_stated() -> None:
    before = make_snapshot(cells(1, seeds=[0, 1]))
    for after, why in (
        (
            make_snapshot(cells(1, seeds=[3, 4])),
            "; the same cells have the seeds 0, 1 in b.toml and 3, 4 in these results",
        ),
        (make_snapshot([make_run("other", 0)]), "; each cell has another configuration"),
        (
            replace(make_snapshot([make_run("o", 0)]), suite="o"),
            "; b.toml is of the suite 'made up', these results of 'o'",
        ),
        (
            replace(before, runs=(), unfinished={"9": UnfinishedRun("c", "c s0", "failed")}),
            "; these results: no run: none of 1 cells has a result",
        ),
    ):
        with pytest.raises(NotComparedError) as raised:
            check(before, after, GateConfig(), after, "b.toml")
        assert str(raised.value) == f"b.toml and {after.suite} have no cell in common{why}"


def test_limits_hold_for_every_run_of_their_cells() -> None:
    own = make_snapshot(cells(2, accuracy=0.9))
    limit = {"cells": [run.id for run in own.runs if run.cell == "cell 1"]}
    for keys, broken in (
        ({"min_accuracy": 0.8}, 0),
        ({"min_accuracy": 0.9}, 2),
        ({"max_bytes": 88_000.0}, 0),
        ({"max_bytes": 87_999.0}, 5),
        ({"target": 0.9, "max_bytes_to_target": 44_000.0, "max_steps_to_target": 49.0}, 5),
        ({"target": 0.95, "max_bytes_to_target": 44_000.0}, 5),
    ):
        checked = check_limits(own, GateConfig.model_validate({"limit": [{**limit, **keys}]}))
        assert len(checked.failures) == broken, keys
        assert checked.exit_code == (1 if broken else 0)
    with pytest.raises(NotComparedError, match="nothing to compare with"):
        check_limits(own, GateConfig())


def test_a_limit_without_the_target_that_it_needs_is_refused_with_its_line(tmp_path: Path) -> None:
    """`fdabench run` writes none; a person may have deleted the line."""
    limit = {"cells": ["a"], "max_bytes_to_target": 9.0}
    path = tmp_path / "suite.lock.toml"
    path.write_text(tomli_w.dumps({"gate": {"limit": [limit]}}), encoding="utf-8")
    with pytest.raises(NotComparedError, match=r"suite\.lock\.toml:\d+: gate\.limit\.0: target is missing"):
        read_gate_settings(make_lock([], gate={"limit": [limit]}), path)
    settings = read_gate_settings(make_lock([], gate={"limit": [{**limit, "target": 0.9}]}), path)
    assert settings == GateConfig(limit=[LimitConfig(cells=["a"], target=0.9, max_bytes_to_target=9.0)])


def test_a_limit_that_is_for_no_cell_is_broken() -> None:
    """As one of a strategy that is misspelt: it would hold for ever."""
    own = make_snapshot(cells(1))
    idle = {"cells": [], "strategy": "fdaa", "max_bytes": 9.0}
    stored = {"cells": [run.id for run in own.runs], "max_bytes": 1e9}
    (failure,) = check_limits(own, GateConfig.model_validate({"limit": [stored, idle]})).failures
    assert (failure.cell, failure.before) == ("gate.limit.1", 'strategy = "fdaa", max_bytes = 9.0')
    assert (failure.after, failure.note) == (0, "no cell matches")


def test_why_names_the_first_sync_that_differs() -> None:
    old = make_run("c", 0, syncs=3, sync_steps="a", first_syncs=(Sync(4, 1.6), Sync(412, 1.51), Sync(500, 1.7)))
    new = replace(old, sync_steps="b", first_syncs=(Sync(4, 1.6), Sync(398, 1.58), Sync(500, 1.7)))
    assert first_differing_sync(old, new) == "sync 2: step 412 -> 398, estimate 1.51 -> 1.58 (theta 1.5)"
    shorter = replace(new, first_syncs=old.first_syncs[:2], syncs=2)
    assert first_differing_sync(old, shorter) == "sync 3: step 500 -> none, estimate 1.7 -> none (theta 1.5)"
    assert first_differing_sync(old, old) == ""
    cut = replace(old, syncs=9)
    late = replace(old, sync_steps="b", syncs=9, first_syncs=(*old.first_syncs, Sync(600, 1.9)))
    assert first_differing_sync(cut, late).startswith("the first 3 syncs are at the same steps")
