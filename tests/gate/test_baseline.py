"""The baseline file: it is read as it was saved, sorted and small; `accept` stores differences and their reasons."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fdabench.errors import UsageError
from fdabench.gate.baseline.keys import short_hash
from fdabench.gate.baseline.model import ResultsSummary, Sync, UnfinishedRun
from fdabench.gate.baseline.read import read_baseline
from fdabench.gate.baseline.write import MAX_SYNC_STEPS, accept, dumps, new_baseline, save
from support.gate_runs import make_run, make_snapshot


@pytest.fixture
def three() -> ResultsSummary:
    syncs = tuple(Sync(step, 1.5 + step / 1000) for step in range(1, 101))
    return make_snapshot(
        [make_run("a", 0, first_syncs=syncs, syncs=100), make_run("a", 1), make_run("b", 0, bytes_to={})]
    )


def test_a_saved_baseline_is_read_unchanged(three: ResultsSummary, tmp_path: Path) -> None:
    save(tmp_path / "b.toml", new_baseline(three, "abc"))
    actual = read_baseline(tmp_path / "b.toml")
    assert dumps(actual) == dumps(new_baseline(three, "abc"))
    run, saved = three.runs[0], actual.snapshot.runs[0]
    assert saved.first_syncs == run.first_syncs[:MAX_SYNC_STEPS]
    assert replace(saved, first_syncs=run.first_syncs, steps_to=run.steps_to) == run
    assert (actual.history[0].runs, actual.history[0].revision) == (3, "abc")


@pytest.mark.parametrize(("period", "steps"), [(7.0, range(7, 100, 7)), (22.0 / 3, (8, 15, 22, 30, 37, 44))])
def test_sync_steps_of_a_periodic_strategy_are_computed_and_not_stored(
    three: ResultsSummary, tmp_path: Path, period: float, steps: Sequence[int]
) -> None:
    syncs = tuple(Sync(step, math.nan) for step in steps)
    hashed = short_hash(list(steps))
    periodic = replace(three.runs[0], period=period, syncs=len(syncs), first_syncs=syncs, sync_steps=hashed)
    for run, reference in ((periodic, list(steps)), (replace(periodic, sync_steps="otherwise"), [])):
        save(tmp_path / "b.toml", new_baseline(replace(three, runs=(run,)), ""))
        assert "first_syncs" not in (tmp_path / "b.toml").read_text()
        assert [sync.step for sync in read_baseline(tmp_path / "b.toml").snapshot.runs[0].first_syncs] == reference


def test_accept_changes_only_what_differs(three: ResultsSummary, tmp_path: Path) -> None:
    old = new_baseline(three, "abc")
    save(tmp_path / "b.toml", old)
    changed = replace(three.runs[1], syncs=7, environment="there")
    elsewhere = replace(three.runs[2], environment="there")
    after = make_snapshot([three.runs[0], changed, elsewhere])
    new, count = accept(read_baseline(tmp_path / "b.toml"), after, " a reason ", "def")
    assert count == (1, 0, 0)
    before, now = (dumps(baseline).splitlines() for baseline in (old, new))
    reason, environment, run = [line for line in now if line not in before]
    assert reason == '    { reason = "a reason", runs = 1, revision = "def" },'
    assert environment == '    { id = "there", torch = "there" },'
    assert run.startswith(
        '    { cell = "a", seed = 1, id = "a 1", state = "done", accuracy = 0.9, bytes_total = 88000, '
    )
    assert " syncs = 7, steps = 100, " in run
    assert [entry.reason for entry in new.history] == ["first baseline", "a reason"]


def test_each_run_is_one_line_and_the_last_line_counts_them(three: ResultsSummary) -> None:
    *_, end, count = dumps(new_baseline(three, "")).splitlines()
    assert (end, count) == ("[end]", "runs = 3")
    lines = [line for line in dumps(new_baseline(three, "")).splitlines() if ", seed = " in line]
    assert [line.split(", ")[2] for line in lines] == ['id = "a 0"', 'id = "a 1"', 'id = "b 0"']


def test_the_settings_are_stored_once_for_each_cell(three: ResultsSummary, tmp_path: Path) -> None:
    config = {"dataset": "digits", "strategy": {"kind": "a b", "theta": 1.5, "quoted": 'a "b" \\ c\n'}, "x y": [1, 2.0]}
    reference = replace(three, runs=tuple(replace(run, config=config) for run in three.runs[:2]))
    save(tmp_path / "b.toml", new_baseline(reference, "abc", "1.0 (def)"))
    assert (tmp_path / "b.toml").read_text().count("digits") == 1
    actual = read_baseline(tmp_path / "b.toml")
    assert [run.config for run in actual.snapshot.runs] == [config, config]
    assert (actual.history[0].revision, actual.history[0].fdabench) == ("abc", "1.0 (def)")


def test_accept_removes_cells_that_the_suite_lacks_and_adds_new_ones(three: ResultsSummary) -> None:
    after = make_snapshot([three.runs[0], three.runs[1], make_run("c", 0)])
    new, count = accept(new_baseline(three, ""), after, "b is gone", "")
    assert count == (0, 1, 1)
    assert [run.cell for run in new.snapshot.runs] == ["a", "a", "c"]


def test_accept_without_a_difference_does_not_change_the_baseline(three: ResultsSummary) -> None:
    old = new_baseline(three, "abc")
    assert accept(old, three, "no reason at all", "def") == (old, (0, 0, 0))
    assert accept(old, three, "no reason at all", "def")[0] is old


def test_accept_refuses_the_results_of_another_suite(three: ResultsSummary) -> None:
    """All of its runs would go. A suite that was renamed, or whose cells are all others now, is meant."""
    strange = make_snapshot([make_run("z", 0)])
    other = replace(strange, suite="other")
    with pytest.raises(UsageError, match="the baseline is of the suite 'made up', the results are of 'other'"):
        accept(new_baseline(three, ""), other, "a slip", "")
    assert accept(new_baseline(three, ""), strange, "another budget", "")[1] == (0, 1, 3)
    assert accept(new_baseline(three, ""), replace(three, suite="renamed", runs=three.runs[:2]), "a new name", "")[
        1
    ] == (
        0,
        0,
        1,
    )


def test_a_reason_is_stored_in_one_line(three: ResultsSummary) -> None:
    new, _ = accept(new_baseline(three, ""), replace(three, runs=three.runs[:1]), " two\n lines ", "")
    assert new.history[-1].reason == "two lines"


def test_accept_requires_a_reason_and_complete_results(three: ResultsSummary) -> None:
    with pytest.raises(UsageError, match="--reason is empty"):
        accept(new_baseline(three, ""), three, "  ", "")
    for refused in (replace(three, unfinished={"x": UnfinishedRun("x", "x s0", "failed")}), replace(three, runs=())):
        with pytest.raises(UsageError, match="needs a result for every cell"):
            new_baseline(refused, "")


def test_every_value_of_a_run_is_in_the_file(three: ResultsSummary) -> None:
    """A change of any of them is a change of the file."""
    text = dumps(new_baseline(three, ""))
    run = three.runs[0]
    for key, value in vars(run).items():
        other: dict[str, object] = {
            "payload": {"model": (1,)},
            "bytes_to": {"0.9": 1},
            "first_syncs": (),
            "theta": 9.9,
            "period": 2.0,
        }
        changed = other.get(key, f"{value}x" if isinstance(value, str) else 12345)
        altered = replace(three, runs=(replace(run, **{key: changed}), *three.runs[1:]))  # type: ignore[arg-type]
        if key == "config":  # of a cell, which all its seeds share
            altered = replace(three, runs=tuple(replace(item, config={"x": 1}) for item in three.runs))
        if key == "environment":
            altered = replace(altered, environments={"here": {}, "herex": {}})
        assert (dumps(new_baseline(altered, "")) != text) == (key not in ("steps_to", "loss")), key
    by_loss = replace(three, protocol=three.protocol._replace(metric="loss"))
    other_loss = replace(by_loss, runs=(replace(run, loss=1.5), *three.runs[1:]))
    assert dumps(new_baseline(other_loss, "")) != dumps(new_baseline(by_loss, "")), "a suite judged by its loss has it"
