"""Caveats where an order depends on one evaluation or on the choice of a target, or a figure is missing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fdabench.analysis.data import combine_results
from fdabench.report.caveats import find_caveats
from fdabench.report.methods import method_rows
from fdabench.results.load import Results, load
from support.lenet5_results import LINEAR, SyntheticCell, write_lenet5_results

HIT, BELOW = 0.985, 0.97
Evals = list[tuple[int, float, int]]


def caveats_of(root: Path, *cells: SyntheticCell, **lock: object) -> str:
    return "\n".join(find_caveats(combine_results([load(write_lenet5_results(root, cells, **lock))])))


def cell(label: str, evals: Evals, seed: int = 0, theta: float = 1.0) -> SyntheticCell:
    syncs = range(1, evals[-1][2])
    return SyntheticCell(evals, syncs, seed, label, {**LINEAR, "theta": theta})


def test_a_target_that_the_next_evaluation_misses_is_reported(tmp_path: Path) -> None:
    lost = cell("Lucky", [(10, 0.5, 1), (20, HIT, 1), (30, BELOW, 1), (40, HIT, 1)])
    stored = cell("Sure", [(10, 0.5, 2), (20, HIT, 3), (30, HIT, 3), (40, BELOW, 3)])
    output = caveats_of(tmp_path / "one", lost, stored)
    assert "1 of 2 runs that reached 98 % were below it again at the next evaluation (Lucky 1)" in output
    assert "at the next evaluation" not in caveats_of(tmp_path / "two", lost, stored, consecutive=2)


def test_a_target_that_the_last_evaluation_misses_and_one_without_a_sync_are_reported(tmp_path: Path) -> None:
    unsent = cell("Unsent", [(10, 0.5, 1), (20, HIT, 1), (30, HIT, 2)])
    lost = cell("Lost", [(10, 0.5, 2), (20, HIT, 3), (30, HIT, 3), (40, BELOW, 3)])
    output = caveats_of(tmp_path / "both", unsent, lost)
    assert "Lost by the end: 1 of 2 runs that reached 98 % were below it at their last evaluation (Lost 1)" in output
    assert "Reached before the first sync: 1 of 2 runs that reached 98 % (Unsent 1)" in output
    sure = cell("Sure", [(10, 0.5, 2), (20, HIT, 3), (30, HIT, 3)])
    output = caveats_of(tmp_path / "none", sure)
    assert "Lost by the end" not in output
    assert "before the first sync" not in output


def test_margins_within_one_evaluation_are_a_caveat(tmp_path: Path) -> None:
    """After a sync, a state at each step is all that they send: A needed 10 to 20 of them, B 20 to 30, C 15 to 25."""
    first = [cell("A", [(10, 0.5, 2), (20, HIT, 2)], seed) for seed in (0, 1)]
    next_ = [cell("B", [(10, 0.5, 2), (20, 0.5, 2), (30, HIT, 2)], seed) for seed in (0, 1)]
    same = [cell("C", [(10, 0.5, 2), (15, 0.5, 2), (25, HIT, 2)], seed) for seed in (0, 1)]
    assert "Margins under one evaluation" not in caveats_of(tmp_path / "apart", *first, *next_)
    output = caveats_of(tmp_path / "close", *first, *same)
    assert "in most runs A and these strategies" in output
    assert "(C 2 of 2)" in output


def test_a_target_chosen_after_the_runs_is_a_caveat(results_of: Callable[..., Results]) -> None:
    output = "\n".join(find_caveats(combine_results([results_of(reference="", seeds=(0,))])))
    assert "was chosen after the runs: the highest that 4 of 5 strategies reached" in output
    assert "eval.headline sets it before the runs" in output


def test_a_target_that_the_reference_chose_is_no_caveat(results_of: Callable[..., Results]) -> None:
    assert "chosen after the runs" not in "\n".join(find_caveats(combine_results([results_of(seeds=(0,))])))


def test_two_thetas_give_a_note_and_one_or_three_give_none(tmp_path: Path) -> None:
    def thetas(*values: float) -> str:
        cells = [cell(f"LinearFDA θ={theta:g}", [(10, 0.5, 1), (20, HIT, 1)], 0, theta) for theta in values]
        return caveats_of(tmp_path / str(len(values)), *cells)

    assert "No figure shows the cost against theta: it needs 3 values of theta, and there are 2." in thetas(1.0, 2.0)
    assert "No figure shows the cost against theta" not in thetas(1.0) + thetas(1.0, 2.0, 3.0)


@pytest.mark.parametrize(("comparison", "rule"), [(">=", "at or above it"), (">", "above it")])
def test_the_methods_state_whether_an_equal_accuracy_reaches_a_target(
    tmp_path: Path, comparison: str, rule: str
) -> None:
    results = load(write_lenet5_results(tmp_path, [SyntheticCell([(100, 0.5, 1)], [100])], comparison=comparison))
    (output,) = [row for row in method_rows(combine_results([results])) if row.item == "a target is reached at"]
    assert output.value == f"the first evaluation {rule}"
