"""The closing summary: best first, misses said, and something sensible when there is little to say."""

import math
from collections.abc import Callable

import pytest

from fdabench.report.summary import closing_summary
from fdabench.results.load import Results

Build = Callable[..., Results]


def test_hand_made_numbers(hand_made: Results) -> None:
    first, best, other = closing_summary(hand_made).splitlines()
    assert first == "Bytes to 90 % (geometric mean over 1 workload, 2 seeds, 95 % CI; 8 steps for all)"
    # (2 * 160 + 4 * 16 before the target at step 4; 8 * 16 at step 8): 384 and 448 bytes.
    size, ratio, steps = math.sqrt(384 * 448), math.sqrt(640 / 384 * 960 / 448), math.sqrt(4 / 4 * 8 / 6)
    assert best.split("  ") == [
        "",
        "LinearFDA θ=1",
        "2/2 reached",
        f"{size:.0f} B",
        f"{steps:.1f}x the steps of Synchronous",
    ]
    assert other.split()[0] == f"{ratio:.1f}"
    assert other.endswith("times fewer bytes than Synchronous")


def test_misses_are_lower_bounds(full: Results) -> None:
    text = closing_summary(full)
    assert text.startswith(
        "Bytes to 95 % (geometric mean over 2 workloads, 3 seeds, 95 % CI; 400 steps for all)\n  FedAvg"
    )
    line = next(line for line in text.splitlines() if "FedAdam" in line)
    assert "≥" in line
    assert "0/6 reached: lower bound" in line
    assert "99.9 % was reached by nobody" in text


def test_cells_without_a_result_are_said(full: Results) -> None:
    text = closing_summary(full)
    assert "2 cells diverged (counted as missed): NaiveFDA θ=1" in text
    assert "2 cells failed (left out): LinearFDA θ=1" in text
    assert "2 cells not run to the end (left out): SketchFDA θ=1" in text


def test_one_seed(results_of: Build) -> None:
    text = closing_summary(results_of(seeds=(0,)))
    assert "1 seed, no interval from one seed" in text
    assert "[" not in text


def test_nobody_reached_the_target(results_of: Build) -> None:
    lines = closing_summary(results_of(targets=(0.9995,), seeds=(0,))).splitlines()
    assert lines[0] == "Nobody reached 99.95 %: best accuracy and bytes in all (400 steps for all)"
    assert lines[1].startswith("  Synchronous")
    assert len(lines) == 7


def test_no_target(results_of: Build) -> None:
    assert closing_summary(results_of(targets=(), seeds=(0,))).startswith("No target is set: best accuracy")


def test_no_reference(results_of: Build) -> None:
    text = closing_summary(results_of(reference="", seeds=(0,)))
    assert "the steps of" not in text
    assert "times fewer bytes than Synchronous" in text


def test_another_convention_is_named(results_of: Build) -> None:
    assert "; ring convention)" in closing_summary(results_of(convention="ring", seeds=(0,)))


def test_nothing_has_run(nothing: Results) -> None:
    text = closing_summary(nothing)
    assert text.startswith("No cell of nothing has a result yet.")
    assert "18 cells not run to the end" in text


@pytest.mark.parametrize("targets", [(0.9, 0.95), (), (0.9995,)])
def test_plain_text(results_of: Build, targets: tuple[float, ...]) -> None:
    text = closing_summary(results_of(targets=targets, seeds=(0,)))
    assert "\x1b" not in text
    assert "nan" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
