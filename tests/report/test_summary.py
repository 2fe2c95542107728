"""The summary of a run: the best strategy first, misses, and results with few cells."""

import math
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from fdabench.analysis.data import combine_results
from fdabench.report.summary import closing_summary
from fdabench.results.load import Results

Build = Callable[..., Results]


def test_the_summary_of_given_results(hand_made: Results) -> None:
    sentence, title, best, other, directions = closing_summary(hand_made).splitlines()
    # (2 * 160 + 4 * 16 before the target at step 4; 8 * 16 at step 8): 384 and 448 bytes.
    size, ratio, steps = math.sqrt(384 * 448), math.sqrt(640 / 384 * 960 / 448), math.sqrt(4 / 4 * 8 / 6)
    base = math.sqrt(640 * 960)
    head = f"90 %: LinearFDA θ=1 needed {size:.0f} B (2 of 2 runs); Synchronous {base:.0f} B (2 of 2 runs): {ratio:.1f}"
    assert sentence.startswith(f"{head} times as many")
    assert title == (
        "Bytes to 90 %, the only target (geometric means over 1 workload, 2 seeds, 95 % CI; 8 steps for all)"
    )
    assert re.split(r" {2,}", best)[1:] == [
        "LinearFDA θ=1",
        "2 of 2 runs",
        f"{size:.0f} B",
        f"{steps:.1f}x the steps of Synchronous",
    ]
    sent = math.sqrt((160 + 64) * (160 + 128))  # local states are only sent
    ranking = "the paper convention ranks by both"
    assert directions == f"  LinearFDA θ=1 {sent:.0f} B sent, 160 B received; {ranking}"
    assert re.split(r" {2,}", other)[1:4] == ["Synchronous", "2 of 2 runs", f"{base:.0f} B"]
    assert f"{ratio:.1f} times as many" in other


def test_a_strategy_that_never_reached_the_target_has_a_lower_limit_only(full: Results) -> None:
    text = closing_summary(full)
    line = next(line for line in text.splitlines() if line.startswith("  FedAdam"))
    assert re.search(r"0 of 6 runs +at least \d[\d.]* times as many", line)
    assert line.endswith("never")
    assert "[" not in line
    assert "99.9 % was reached by no run" in text


def test_a_bound_has_no_interval(full: Results) -> None:
    text = closing_summary(full)
    assert not re.search(r"[≤≥]|at (least|most)[^;.]*\[", text)


def test_the_headline_target_of_a_suite_is_named(results_of: Build) -> None:
    results = results_of(targets=(0.5, 0.9), seeds=(0,))
    text = closing_summary(replace(results, lock=results.lock.with_changes({"headline": 0.5})))
    assert text.startswith("50 %: ")
    assert "Bytes to 50 %, named in the suite (" in text
    assert "  90 % was reached by" in text


def test_counts_are_those_of_the_rows_that_are_shown(full: Results) -> None:
    """After Ctrl-C, or with -k, a workload or a seed has no result yet."""
    first = combine_results([full]).workloads[0][1]
    runs = full.runs.assign(state=full.runs["state"].where(full.runs["workload"] == first, "pending"))
    stored = set(runs.loc[runs["workload"] == first, "cell_id"])
    one = replace(full, runs=runs, hits=full.hits[full.hits["cell_id"].isin(stored)])
    assert "geometric means over 1 workload, 3 seeds" in closing_summary(one)
    assert "geometric means over 2 workloads, 3 seeds" in closing_summary(full)


def test_a_workload_without_a_reached_target_is_counted_and_named(full: Results) -> None:
    hard = combine_results([full]).workloads[-1][1]
    of_hard = full.runs.loc[full.runs["workload"] == hard, "cell_id"]
    hits = full.hits.assign(reached=full.hits["reached"] & ~full.hits["cell_id"].isin(of_hard))
    lock = full.lock.with_changes({"headline": 0.95})
    text = closing_summary(replace(full, hits=hits, lock=lock))
    assert "geometric means over 2 workloads, 3 seeds, 95 % CI; reached on 1 of 2 workloads; 400 steps" in text
    assert "of 6 pairs; in 3 neither reached it" in text


def test_cells_without_a_result_are_reported(full: Results) -> None:
    text = closing_summary(full)
    assert "2 cells diverged (counted as missed): NaiveFDA θ=1" in text
    assert "2 cells failed (left out): LinearFDA θ=1" in text
    assert "2 cells without a result yet (left out): SketchFDA θ=1" in text


def test_the_summary_of_one_seed(results_of: Build) -> None:
    text = closing_summary(results_of(seeds=(0,)))
    assert "1 seed, no interval from one seed" in text
    assert "[" not in text


def test_the_summary_states_that_no_target_was_reached(results_of: Build) -> None:
    lines = closing_summary(results_of(targets=(0.9995,), seeds=(0,))).splitlines()
    assert lines[0].startswith("No strategy reached 99.95 % (the only target).")
    assert lines[1] == "Best accuracy and total bytes (400 steps for all)"
    assert lines[2].startswith("  Synchronous")
    assert len(lines) == 8


def test_the_summary_of_a_suite_without_targets(results_of: Build) -> None:
    assert closing_summary(results_of(targets=(), seeds=(0,))).startswith("No target is set")


def test_the_summary_of_a_suite_without_a_reference(results_of: Build) -> None:
    text = closing_summary(results_of(reference="", seeds=(0,)))
    assert "the steps of" not in text
    assert "the highest that 4 of 5 strategies reached in 4 of 5 of their runs" in text


def test_another_convention_is_named(results_of: Build) -> None:
    assert "; ring convention)" in closing_summary(results_of(convention="ring", seeds=(0,)))


@pytest.mark.parametrize("targets", [(0.9,), ()])
def test_the_bytes_of_each_direction_are_shown_only_where_they_differ(
    results_of: Build, targets: tuple[float, ...]
) -> None:
    """Local states come back under `star`, and models of all strategies cross in both directions."""
    apart = [line for line in closing_summary(results_of(targets=targets)).splitlines() if "received" in line]
    assert any(line.startswith("  SketchFDA") for line in apart)
    assert not any(line.startswith(("  Synchronous", "  FedA")) for line in apart)
    assert "received" not in closing_summary(results_of(targets=targets, convention="star"))


def test_the_summary_of_a_suite_before_its_first_run(nothing: Results) -> None:
    text = closing_summary(nothing)
    assert text.startswith("No cell of nothing has a result yet.")
    assert "18 cells without a result yet" in text


@pytest.mark.parametrize("targets", [(0.9, 0.95), (), (0.9995,)])
def test_the_summary_as_plain_text(results_of: Build, targets: tuple[float, ...]) -> None:
    text = closing_summary(results_of(targets=targets, seeds=(0,)))
    assert "\x1b" not in text
    assert "nan" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
