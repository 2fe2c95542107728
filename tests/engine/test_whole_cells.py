"""Complete cells on the digits: evaluations and their bytes, and the seeds of random draws."""

from math import isfinite, nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from fdabench.cell_config import CellConfig
from fdabench.core.collective import InProcessCollective
from fdabench.datasets import DATASETS
from fdabench.engine.arrays import LabeledData
from fdabench.engine.evaluate import evaluate
from fdabench.engine.flatten import flatten, parameters
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.workers import Workers
from fdabench.errors import PartitionError, WorkloadError
from fdabench.experiment.build import (
    CellSetup,
    averaging_weights,
    build_cell,
    build_training,
    make_samplers,
    partition_data,
)
from fdabench.experiment.resolved_cell import SEED_AXES, ResolvedCell
from fdabench.experiment.train import TrainingResult
from fdabench.results.schema import CLOCK_COLUMNS
from support.cells import evals_table, train_cell

NOWHERE = Path("nowhere")
DIGITS = DATASETS["digits"].load(NOWHERE)
D, K = 51_466, 4
KERAS = {"kind": "adam-keras", "lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7}
SGD = {"kind": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "state_on_sync": "keep"}
ADAM = {
    "kind": "adam",
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-7,
    "weight_decay": 0.0,
    "state_on_sync": "keep",
}
AVERAGE = {"kind": "average"}
SYNCHRONOUS: dict[str, Any] = {"kind": "synchronous"}


EVAL = {"model": "virtual-mean"}


def fedavg(steps: int) -> dict[str, Any]:
    return {"kind": "fedavg", "local_steps": steps, "server": AVERAGE}


def fda(monitor: str, theta: float, every: int = 1) -> dict[str, Any]:
    table = {"kind": monitor} | ({"depth": 5, "width": 250} if monitor == "sketch" else {})
    return {"kind": "fda", "theta": theta, "monitor": table, "every": every, "server": AVERAGE}


def cell(strategy: dict[str, Any], **changes: Any) -> ResolvedCell:
    """A cell as the grid expands it."""
    table = {
        "dataset": "digits",
        "model": "mlp",
        "workers": K,
        "batch_size": 16,
        "sampling": "shuffle",
        "last_batch": "wrap",
        "averaging": "uniform",
        "precision": "fp32",
        "batchnorm_stats": "local",
        "partition": {"kind": "dirichlet", "alpha": 1.0, "shares": "per-class", "min_samples": 1},
        "optimizer": ADAM,
        "strategy": strategy,
        "budget": {"steps": 20},
        "seed": 0,
        "eval": EVAL | changes.pop("eval", {"every_steps": 10}),
    } | changes
    return ResolvedCell(CellConfig.from_table(table))


def go(strategy: dict[str, Any], **changes: Any) -> TrainingResult:
    return train_cell(cell(strategy, **changes).config)


def weights(setting: CellSetup) -> Tensor:
    return flatten(parameters(setting.group.start))


def test_a_row_is_written_before_the_sync_of_its_step() -> None:
    """FedAvg(10), seen every 10 steps: at step 10 no sync is over, so only the initial distribution is paid for."""
    rows = evals_table(go(fedavg(10), budget={"steps": 30}))
    assert rows["step"].tolist() == [10, 20, 30]
    assert rows["syncs"].tolist() == [0, 1, 2]
    assert rows["round"].tolist() == [1, 2, 3]
    assert rows["paper_bytes_model"].tolist() == [8 * D * K * rounds for rounds in (1, 2, 3)]
    assert rows["paper_bytes_total"].tolist() == rows["paper_bytes_model"].tolist()


def test_the_model_of_a_server_is_evaluated_after_its_step_with_the_bytes_of_that_sync() -> None:
    """As FedAdam was published: between syncs the global model stands still, at a sync it is the server's new one."""
    published = {"every_steps": 5, "model": "paper"}
    rows = evals_table(go({"kind": "fedadam", "local_steps": 10, "server": KERAS}, eval=published))
    assert rows["after_sync"].tolist()[:4] == [False, True, False, True]
    assert rows["syncs"].tolist()[:4] == [0, 1, 1, 2]
    assert rows["paper_bytes_model"].tolist()[:4] == [8 * D * K * (1 + syncs) for syncs in (0, 1, 1, 2)]
    losses = rows["test_loss"].tolist()
    assert losses[0] != losses[1] == losses[2] != losses[3]


def test_with_the_average_server_the_mean_of_the_workers_is_evaluated() -> None:
    servers = [{"kind": "momentum", "lr": 1.0, "momentum": momentum} for momentum in (0.0, 0.9)]
    published = {"every_steps": 10, "model": "paper"}
    plain, moved = (
        evals_table(go({"kind": "fedavgm", "local_steps": 10, "server": server}, eval=published)) for server in servers
    )
    averaged = evals_table(go(fedavg(10)))
    same = [name for name in averaged if name not in ("cell_id", "wall_s")]
    pd.testing.assert_frame_equal(plain[same], averaged[same])
    assert moved["syncs"].iloc[0] == averaged["syncs"].iloc[0] + 1


def test_the_evaluated_model_is_the_mean_of_the_workers() -> None:
    resolved = cell(fda("naive", 1e9), budget={"steps": 7}, eval={"every_steps": 7})
    setting = build_cell(resolved, DIGITS)
    workers = Workers(build_training(resolved, setting, SequentialGradients), [setting.group])
    for _ in range(7):
        workers.step()
    mean_D = InProcessCollective(torch.full((K,), 1 / K)).mean(workers.weights())
    expected = evaluate(
        setting.group.start, mean_D, torch.empty(0), LabeledData(setting.data.test_x, setting.data.test_y)
    )
    row = evals_table(train_cell(resolved.config)).iloc[0]
    assert (row["test_accuracy"], row["test_loss"]) == (expected.accuracy, expected.loss)


def test_an_evaluation_of_fda_includes_the_bytes_of_the_state_of_its_step() -> None:
    """A theta that is always crossed: at step n, n states and n - 1 syncs are over, and the distribution before."""
    rows = evals_table(go(fda("linear", 0.0), budget={"steps": 6}, eval={"every_steps": 2}))
    assert rows["paper_bytes_state"].tolist() == [8 * K * step for step in (2, 4, 6)]
    assert rows["paper_bytes_model"].tolist() == [8 * D * K * (1 + syncs) for syncs in (1, 3, 5)]


def test_the_bytes_of_the_ledger_equal_the_closed_form_of_the_paper() -> None:
    """FDA with s syncs in n steps: (s + 1) 8 d K and state n K; the last step is a row, so its sync is not in it."""
    done = go(fda("sketch", 0.5), budget={"steps": 40}, eval={"every_steps": 40})
    syncs = [row["step"] for row in done.tables["rounds"]]
    assert 1 < len(syncs) < 40
    row = evals_table(done).iloc[-1]
    before = sum(step < 40 for step in syncs)
    assert row["paper_bytes_model"] == (before + 1) * 8 * D * K
    assert row["paper_bytes_state"] == 5004 * 40 * K
    kinds = {kind: rows["count"].sum() for kind, rows in pd.DataFrame(done.tables["ledger"]).groupby("kind")}
    assert kinds == {"initial": 1, "model": len(syncs), "state": 40}


def test_averaged_optimizer_state_is_counted_after_its_sync() -> None:
    rows = evals_table(go(fedavg(10), optimizer=ADAM | {"state_on_sync": "average"}))
    assert rows["paper_bytes_optimizer"].tolist() == [0, 2 * 8 * D * K]
    assert rows["paper_bytes_total"].tolist() == [8 * D * K, 2 * 8 * D * K + 2 * 8 * D * K]


def test_rounds_satisfy_the_invariant_and_record_the_estimate_that_ended_them() -> None:
    rounds = pd.DataFrame(go(fda("exact", 0.5), budget={"steps": 60}).tables["rounds"])
    assert len(rounds) > 1
    assert (rounds["estimate"] > 0.5).all()
    assert (rounds["estimate"] - rounds["variance"]).abs().max() < 1e-3
    assert rounds["steps"].sum() == rounds["step"].iloc[-1]
    assert rounds["round"].tolist() == list(range(1, len(rounds) + 1))


def test_the_last_step_is_always_evaluated() -> None:
    rows = evals_table(go(SYNCHRONOUS, budget={"steps": 7}, eval={"every_steps": 5}))
    assert rows["step"].tolist() == [5, 7]


@pytest.mark.parametrize("batch_size", [16, 48])
def test_fractional_epochs_are_carried_over(batch_size: int) -> None:
    """1,438 samples, 4 workers: 22.47 or 7.49 steps in an epoch, evaluated at the step that completes each."""
    config = {"budget": {"epochs": 3}, "eval": {"every_epochs": 1}, "batch_size": batch_size}
    rows = evals_table(go(SYNCHRONOUS, **config))
    expected = {16: [23, 45, 68], 48: [8, 15, 23]}[batch_size]
    assert rows["step"].tolist() == expected
    assert rows["epoch"].tolist() == pytest.approx([step * K * batch_size / 1438 for step in expected])


def test_a_run_with_a_loss_that_is_not_finite_ends_as_diverged() -> None:
    done = go(fedavg(3), optimizer=SGD | {"lr": 1e8}, budget={"steps": 400})
    assert done.state == "diverged"
    assert done.steps < 400
    last = evals_table(done).iloc[-1]
    assert not (isfinite(last["train_loss"]) and isfinite(last["test_loss"]))


def test_a_run_ends_at_its_target() -> None:
    goal = {"every_steps": 5, "stop_at": 0.8, "consecutive": 2, "comparison": ">="}
    done = go(SYNCHRONOUS, budget={"steps": 400}, eval=goal)
    rows = evals_table(done)
    assert done.state == "target_reached"
    assert done.steps == rows["step"].iloc[-1] < 400
    assert (rows["test_accuracy"].iloc[-2:] >= 0.8).all()
    assert not (rows["test_accuracy"].iloc[:-2] >= 0.8).any() or (rows["test_accuracy"].iloc[-3] < 0.8)


def test_a_run_that_misses_its_target_is_done() -> None:
    done = go(SYNCHRONOUS, eval={"every_steps": 10, "stop_at": 1.0, "consecutive": 1, "comparison": ">"})
    assert (done.state, done.steps) == ("done", 20)


def test_a_run_can_be_stopped() -> None:
    done = train_cell(cell(SYNCHRONOUS).config, stop_asked=lambda: True)
    assert (done.state, done.steps) == ("interrupted", 1)


STRATEGIES = [
    SYNCHRONOUS,
    fedavg(3),
    {"kind": "fedadam", "local_steps": 3, "server": KERAS},
    {"kind": "fedavgm", "local_steps": 3, "server": {"kind": "momentum", "lr": 1.0, "momentum": 0.9}},
    *(fda(monitor, 0.5) for monitor in ("naive", "linear", "sketch", "exact")),
]


def test_all_strategies_of_a_seed_share_the_initial_model_and_the_batches() -> None:
    """The first training loss has the initial weights, the shards and the first batches in it."""
    first = {evals_table(go(table, budget={"steps": 1}))["train_loss"][0] for table in STRATEGIES}
    assert len(first) == 1
    assert evals_table(go(SYNCHRONOUS, budget={"steps": 1}, seed=1))["train_loss"][0] not in first
    settings = [build_cell(cell(table), DIGITS) for table in STRATEGIES]
    for other in settings[1:]:
        assert torch.equal(weights(other), weights(settings[0]))
        assert all((a == b).all() for a, b in zip(other.shards, settings[0].shards, strict=True))


def test_later_batches_do_not_depend_on_the_strategy() -> None:
    config = cell(SYNCHRONOUS)
    shards = partition_data(config, DATASETS["digits"].load(NOWHERE))
    samples = [
        [
            [sampler.next_batch().tolist() for sampler in make_samplers(cell(table, optimizer=local), shards)]
            for _ in range(3)
        ]
        for table, local in ((SYNCHRONOUS, ADAM), (fda("linear", 3.0), SGD))
    ]
    assert samples[0] == samples[1]


def test_each_seed_depends_on_its_declared_axes_only() -> None:
    before = cell(SYNCHRONOUS).seeds
    free = [{"strategy": table} for table in STRATEGIES]
    free += [{"optimizer": SGD}, {"averaging": "samples"}, {"budget": {"steps": 9}}, {"eval": {"every_steps": 1}}]
    for change in free:
        assert cell(**({"strategy": SYNCHRONOUS} | change)).seeds == before
    for axis, value in {
        "seed": 1,
        "dataset": "mnist",
        "model": "lenet5",
        "partition": {"kind": "iid"},
        "workers": 5,
        "batch_size": 8,
        "sampling": "replacement",
        "last_batch": "drop",
    }.items():
        after = cell(SYNCHRONOUS, **{axis: value}).seeds
        assert {use for use in before if after[use] != before[use]} == {
            use for use in SEED_AXES if axis in SEED_AXES[use]
        }
    assert all("seed" in axes and not {"strategy", "optimizer"} & set(axes) for axes in SEED_AXES.values())
    assert len(set(before.values())) == len(before)


def test_workers_with_equal_shards_draw_different_batches() -> None:
    """With equal shards, so that only their generators can differ."""
    shards = [DATASETS["digits"].load(NOWHERE).train_y.numpy().argsort()] * 3
    samples = [sampler.next_batch().tolist() for sampler in make_samplers(cell(SYNCHRONOUS, workers=3), shards)]
    assert samples[0] != samples[1] != samples[2] != samples[0]


@pytest.mark.parametrize("table", [fda("sketch", 0.5), fedavg(7)], ids=lambda table: table["kind"])
@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_two_runs_of_a_cell_write_identical_tables(table: dict[str, Any], sampling: str) -> None:
    one, other = (go(table, sampling=sampling, budget={"steps": 30}) for _ in range(2))
    torch.rand(3)
    assert one.tables.keys() == other.tables.keys()
    for name in one.tables:
        first, second = (
            pd.DataFrame(done.tables[name]).drop(columns=list(CLOCK_COLUMNS), errors="ignore") for done in (one, other)
        )
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert (one.state, one.steps) == (other.state, other.steps)


def test_averaging_by_samples_weighs_each_worker_by_its_shard() -> None:
    skewed = {"partition": {"kind": "dirichlet", "alpha": 0.1, "shares": "per-class", "min_samples": 1}}
    setting = build_cell(cell(SYNCHRONOUS, averaging="samples", **skewed), DIGITS)
    sizes = [len(shard) for shard in setting.shards]
    assert len(set(sizes)) > 1
    assert averaging_weights(cell(SYNCHRONOUS, averaging="samples").config, setting.shards).tolist() == pytest.approx(
        [size / 1438 for size in sizes]
    )
    assert setting.channel.collective.mean(torch.eye(K)).tolist() == pytest.approx([size / 1438 for size in sizes])
    assert averaging_weights(cell(SYNCHRONOUS).config, setting.shards).tolist() == [0.25] * K


def test_a_shard_too_small_for_a_batch_is_refused_with_the_remedy() -> None:
    config = cell(SYNCHRONOUS, workers=100, last_batch="drop", partition={"kind": "iid"})
    with pytest.raises(
        WorkloadError, match=r"last_batch = 'drop' .* 1[45] samples without any batch of 16: take 'wrap'"
    ):
        build_cell(config, DIGITS)


def test_an_empty_shard_is_refused_with_the_remedy() -> None:
    config = cell(SYNCHRONOUS, workers=1000, partition={"kind": "sorted", "fraction": 0.5})
    with pytest.raises(PartitionError, match="sorted left worker 719 without samples: take fewer workers"):
        build_cell(config, DIGITS)


def test_the_partition_table_counts_every_sample() -> None:
    rows = pd.DataFrame(go(SYNCHRONOUS, budget={"steps": 1}).tables["partition"])
    labels = DATASETS["digits"].load(NOWHERE).train_y
    assert rows.groupby("label")["samples"].sum().tolist() == labels.bincount().tolist()
    assert len(rows) == K * 10


def test_estimates_are_nan_without_a_monitor() -> None:
    rows = evals_table(go(SYNCHRONOUS))
    assert rows["estimate"].isna().all()
    assert rows["estimate"].tolist() != [nan]
    assert go(SYNCHRONOUS).tables["trace"] == []
