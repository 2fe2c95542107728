"""The evaluated model, the evaluation data, and the end of the last epoch of a budget."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fdabench.experiment.build import build_cell, validation_indices
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import TrainingResult
from fdabench.partitions.base import Indices
from fdabench.results.derive import derive_hits
from fdabench.suite.cell import Cell
from support.cells import load_dataset, train_cell
from support.digits_results import make_lock, make_record

Cells = Callable[..., list[Cell]]
FEDAVG, FEDADAM, FEDAVGM = 1, 2, 3
NEARLY_NO_MOMENTUM = 1e-9


def with_strategy(cell: Cell, **strategy: Any) -> Cell:
    return replace(cell, config=cell.config.with_changes({"strategy": strategy}))


def evals(cell: Cell) -> pd.DataFrame:
    return pd.DataFrame(ran(cell).tables["evals"])


def ran(cell: Cell) -> TrainingResult:
    done = train_cell(cell.config)
    assert isinstance(done, TrainingResult)
    return done


def averaging(cells: Cells, rule: str, momentum: float | None) -> Cell:
    """FedAvg with a period between evaluations, as FedAvg or as FedAvgM with (nearly) no momentum."""
    cell = cells("budget.steps=24", "eval.every_steps=4", f"eval.model='{rule}'")[FEDAVG]
    if momentum is None:
        return with_strategy(cell, kind="fedavg", local_steps=5, server={"kind": "average"})
    return with_strategy(
        cell, kind="fedavgm", local_steps=5, server={"kind": "momentum", "lr": 1.0, "momentum": momentum}
    )


@pytest.mark.parametrize("rule", ["virtual-mean", "synced"])
@pytest.mark.parametrize("momentum", [0.0, NEARLY_NO_MOMENTUM])
def test_fedavg_and_fedavgm_without_momentum_have_equal_scores(cells: Cells, rule: str, momentum: float) -> None:
    """One algorithm: the same accuracy for the same bytes, whatever the target."""
    plain, served = (averaging(cells, rule, item) for item in (None, momentum))
    columns = ["step", "syncs", "round", "after_sync", "paper_bytes_total", "test_accuracy"]
    pd.testing.assert_frame_equal(evals(plain)[columns], evals(served)[columns], check_exact=True)


def test_the_rule_paper_evaluates_fedavg_and_fedavgm_differently(cells: Cells) -> None:
    """A server's last model is staler than the mean of the workers, and its sync is paid for."""
    plain, served = (evals(averaging(cells, "paper", item)) for item in (None, NEARLY_NO_MOMENTUM))
    assert (plain["test_accuracy"] != served["test_accuracy"]).any()


@pytest.mark.parametrize("rule", ["virtual-mean", "paper"])
def test_without_a_server_both_uncounted_rules_evaluate_the_mean_of_the_workers(cells: Cells, rule: str) -> None:
    tables = [evals(cells(f"eval.model='{item}'")[FEDAVG]) for item in ("virtual-mean", rule)]
    pd.testing.assert_frame_equal(*(table.drop(columns=["cell_id", "wall_s"]) for table in tables), check_exact=True)


@pytest.mark.parametrize("rule", ["virtual-mean", "synced", "paper"])
def test_the_evaluation_rule_does_not_change_the_training(cells: Cells, rule: str) -> None:
    for actual, other in zip(cells("eval.model='virtual-mean'"), cells(f"eval.model='{rule}'"), strict=True):
        one, two = ran(actual), ran(other)
        assert one.tables["ledger"] == two.tables["ledger"]
        assert [row["step"] for row in one.tables["rounds"]] == [row["step"] for row in two.tables["rounds"]]
        columns = ["train_loss", "train_accuracy", "variance"]
        pd.testing.assert_frame_equal(
            pd.DataFrame(one.tables["evals"])[columns], pd.DataFrame(two.tables["evals"])[columns], check_exact=True
        )


def test_the_rule_synced_evaluates_the_model_of_the_last_sync_and_counts_its_bytes(cells: Cells) -> None:
    """FedAvg, period 5, evaluated every 5 steps: the mean that the sync of the same step makes, with its bytes."""
    overrides = ("budget.steps=20", "eval.every_steps=5")
    period = {"kind": "fedavg", "local_steps": 5, "server": {"kind": "average"}}
    virtual, synced = (
        evals(with_strategy(cells(*overrides, f"eval.model='{rule}'")[FEDAVG], **period))
        for rule in ("virtual-mean", "synced")
    )
    assert synced["after_sync"].all()
    assert not virtual["after_sync"].any()
    # w + mean(w_k - w) and mean(w_k) differ in rounding only
    np.testing.assert_allclose(synced["test_loss"], virtual["test_loss"], rtol=1e-5)
    per_sync = synced["paper_bytes_total"].diff().iloc[-1]
    assert (synced["paper_bytes_total"] - virtual["paper_bytes_total"]).tolist() == [per_sync] * 4
    assert synced["syncs"].tolist() == [1, 2, 3, 4]
    assert virtual["syncs"].tolist() == [0, 1, 2, 3]


def test_before_the_first_sync_the_rule_synced_evaluates_the_initial_model(cells: Cells) -> None:
    short = with_strategy(
        cells("eval.model='synced'", "eval.every_steps=1", "budget.steps=3")[FEDAVG],
        kind="fedavg",
        local_steps=10,
        server={"kind": "average"},
    )
    actual = evals(short)
    assert actual["test_loss"].nunique() == 1
    assert actual["syncs"].tolist() == [0, 0, 0]


def test_a_server_is_applied_to_the_virtual_mean_and_keeps_its_state(cells: Cells) -> None:
    """FedAdam evaluated at a sync's step: the model that the sync makes, before it is paid for."""
    overrides = ("budget.steps=20", "eval.every_steps=5")
    virtual, synced = (evals(cells(*overrides, f"eval.model='{rule}'")[FEDADAM]) for rule in ("virtual-mean", "synced"))
    np.testing.assert_allclose(synced["test_loss"], virtual["test_loss"], rtol=1e-4)
    assert (virtual["paper_bytes_total"] < synced["paper_bytes_total"]).all()


def test_the_last_epoch_of_a_budget_is_ended_and_evaluated(cells: Cells) -> None:
    """1,438 / (3 * 32) = 14.98 steps an epoch: five are 74.9 steps, so the fifth ends in step 75."""
    cell = cells("budget.epochs=5", "eval.every_epochs=1")[FEDAVG]
    resolved = ResolvedCell(cell.config)
    assert resolved.steps_per_epoch == Fraction(1438, 96)
    assert resolved.budget_steps == 75
    actual = evals(cell)
    assert actual["step"].tolist() == [15, 30, 45, 60, 75]
    assert actual["epoch"].iloc[-1] >= 5


VALIDATION = ("eval.validation={share=0.1, seed=3}",)


def held_out_of(cell: Cell) -> Indices:
    assert cell.config.eval.validation is not None
    return validation_indices(cell.config, cell.config.eval.validation, 1438)


def test_the_validation_split_is_evaluated_and_not_trained_on(cells: Cells) -> None:
    cell = cells(*VALIDATION)[FEDAVG]
    data = load_dataset(cell.config)
    resolved = ResolvedCell(cell.config)
    setting, held_out = build_cell(resolved, data), held_out_of(cell)
    assert len(held_out) == 144
    assert resolved.train_samples == 1438 - 144
    assert sorted(np.concatenate([*setting.shards, held_out])) == list(range(1438))
    assert torch.equal(setting.held_out.y, data.train_y[torch.from_numpy(held_out)])
    assert torch.equal(setting.held_out.x, data.train_x[torch.from_numpy(held_out)])


def test_the_validation_split_depends_on_its_own_seed_only(cells: Cells) -> None:
    first, *others = (held_out_of(cell) for cell in cells(*VALIDATION, "seeds=[0, 1]"))
    assert all(np.array_equal(first, other) for other in others)
    other_seed = cells("eval.validation={share=0.1, seed=4}")[0]
    assert not np.array_equal(first, held_out_of(other_seed))


def test_accuracies_are_those_of_the_validation_samples(cells: Cells) -> None:
    accuracy = evals(cells(*VALIDATION)[FEDAVG])["test_accuracy"]
    assert np.allclose(accuracy * 144, (accuracy * 144).round())


def test_hits_of_one_rule_are_comparable(cells: Cells) -> None:
    """By the paper's rule FedAvgM without momentum costs up to twice FedAvg's bytes."""
    lock = make_lock([], targets=[0.2, 0.3, 0.5])
    costs = []
    for momentum in (None, 0.0):
        cell = averaging(cells, "virtual-mean", momentum)
        tables = ran(cell).tables
        frames = (pd.DataFrame(tables[name]).assign(cell_id=cell.id) for name in ("evals", "ledger"))
        costs.append(
            derive_hits(lock, {cell.id: make_record(cell.id, config=cell.config)}, *frames).drop(columns="cell_id")
        )
    assert costs[0]["reached"].any()
    pd.testing.assert_frame_equal(*costs, check_exact=True)
