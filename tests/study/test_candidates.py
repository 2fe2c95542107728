"""The suites of the study that are written from tuning results: which candidate is chosen, and what follows from it."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from candidates import (
    METHODS,
    Candidate,
    app,
    best_of,
    headline_of,
    kept_hits,
    learning_rate_step,
    method_of,
    near,
    suite_text,
)
from typer.testing import CliRunner

from fdabench.api import read_suite
from fdabench.metrics import METRICS

STUDY = Path(__file__).parents[2] / "suites" / "study"
REPORTS = Path(__file__).parents[2] / "reports" / "study"


def candidates_without_results(suite: Path) -> list[Candidate]:
    cells = read_suite(suite).cells
    tables = [(cell.config.strategy.to_table(), cell.config.optimizer.to_table()["lr"]) for cell in cells]
    return [Candidate(method_of(table), "", table, lr) for table, lr in tables]


def fedavg(lr: float, local_steps: int = 10, target: int = 0, num_bytes: float = 0.0) -> Candidate:
    strategy = {"kind": "fedavg", "local_steps": local_steps, "server": {"kind": "average"}}
    return Candidate("FedAvg", "", strategy, lr, target, num_bytes)


@pytest.mark.parametrize("name", ["tuning-cifar10.toml", "tuning-shakespeare.toml"])
def test_every_method_has_nine_candidates_with_three_or_nine_learning_rates(name):
    of_method = {}
    for candidate in candidates_without_results(STUDY / name):
        of_method.setdefault(candidate.method, []).append(candidate)
    assert set(of_method) == set(METHODS.values())
    assert {len(actual) for actual in of_method.values()} == {9}
    rates = {method: len({item.lr for item in actual}) for method, actual in of_method.items()}
    assert {method for method, number in rates.items() if number == 9} == {"DDP", "Synchronous"}
    assert set(rates.values()) == {3, 9}


def test_the_best_candidate_reached_the_hardest_target_with_the_fewest_bytes():
    cheap, hard, hard_and_cheap = fedavg(1e-3, 40, 1, 5.0), fedavg(1e-3, 10, 2, 90.0), fedavg(3e-3, 20, 2, 80.0)
    assert best_of([cheap, hard, hard_and_cheap, fedavg(3e-3)]) == {"FedAvg": hard_and_cheap}


def test_a_hit_counts_after_the_first_sync_and_if_the_last_evaluation_keeps_it():
    hits = pd.DataFrame({"cell_id": ["kept", "lost", "early"], "target": 2.4, "syncs": [3, 3, 0]})
    runs = pd.DataFrame({"cell_id": ["kept", "lost", "early"], "final_loss": [2.4, 2.41, 2.3]})
    assert list(kept_hits(hits, runs, METRICS["loss"])["cell_id"]) == ["kept"]
    accuracies = runs.assign(final_accuracy=[0.5, 0.49, 0.6])
    assert list(kept_hits(hits.assign(target=0.5), accuracies, METRICS["accuracy"])["cell_id"]) == ["kept"]


def test_the_learning_rate_moves_outward_at_an_edge_and_to_the_better_neighbor_within():
    low, middle, high = (
        fedavg(1e-3, target=1, num_bytes=9.0),
        fedavg(3e-3, target=2),
        fedavg(9e-3, target=1, num_bytes=8.0),
    )
    assert learning_rate_step(middle, [low, middle, high], 1.6) == pytest.approx(3e-3 * 1.6)
    assert learning_rate_step(middle, [replace(low, target=2), middle, high], 1.6) == pytest.approx(3e-3 / 1.6)
    assert learning_rate_step(high, [low, middle, high], 1.6) == pytest.approx(9e-3 * 1.6)
    assert learning_rate_step(low, [low, middle, high], 1.6) == pytest.approx(1e-3 / 1.6)


def test_the_headline_is_the_target_that_all_but_two_methods_reached():
    reached = [replace(fedavg(1e-3), target=target) for target in (0, 1, 2, 2, 3, 4)]
    assert headline_of(reached) == 2
    assert headline_of(reached[:3]) == 2
    assert headline_of(reached[:1]) == 0


@pytest.mark.parametrize("workload", ["cifar10", "shakespeare"])
def test_a_suite_of_candidates_near_the_best_has_three_more_of_each_method(workload, tmp_path):
    """The text is read back as a suite, so every value that the rules write is one that the strategy accepts."""
    path = STUDY / f"tuning-{workload}.toml"
    arguments = candidates_without_results(path)
    best = best_of(arguments)
    added = list(near(arguments))
    assert [item.method for item in added] == [method for method in best for _ in range(3)]

    head = path.read_text().split("[[strategy]]")[0]
    optimizer = tomllib.loads(path.read_text())["workload"][0]["optimizer"]
    written = tmp_path / "near.toml"
    written.write_text(suite_text(head, optimizer, added))
    cells = read_suite(written).cells
    assert [method_of(cell.config.strategy.to_table()) for cell in cells] == [item.method for item in added]
    assert [cell.config.optimizer.to_table()["lr"] for cell in cells] == [item.lr for item in added]
    reference = {(item.method, item.lr, str(item.strategy)) for item in arguments}
    assert not reference & {(item.method, item.lr, str(item.strategy)) for item in added}


def test_the_period_is_halved_and_doubled_and_never_below_one_step():
    shorter, longer, other_rate = near([fedavg(1e-3, 1), fedavg(3e-3, 1, target=1), fedavg(9e-3, 1)])
    assert (shorter.strategy["local_steps"], longer.strategy["local_steps"]) == (1, 2)
    assert other_rate.strategy["local_steps"] == 1


def test_the_suite_of_the_study_is_what_the_committed_tuning_results_give():
    archives = [REPORTS / "tuning" / f"{name}.tar.xz" for name in ("cifar10", "cifar10-near")]
    written = CliRunner().invoke(app, ["study", *map(str, archives)])
    assert written.exit_code == 0, written.output
    assert written.stdout == (STUDY / "cifar10.toml").read_text()


def test_the_suite_of_the_near_candidates_is_what_the_first_ones_give():
    written = CliRunner().invoke(app, ["near", str(REPORTS / "tuning" / "cifar10.tar.xz")])
    assert written.exit_code == 0, written.output
    assert written.stdout == (STUDY / "tuning-cifar10-near.toml").read_text()
