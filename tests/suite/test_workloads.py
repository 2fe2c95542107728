"""A workload is every setting of a cell except strategy and seed, for lists on any key."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fdabench.cli.suites import grid_summary
from fdabench.errors import SuiteError
from fdabench.results.workloads import WorkloadTitle, workloads_of
from fdabench.suite import schema
from fdabench.suite.reader import LoadedSuite

Table = dict[str, Any]
Read = Callable[..., LoadedSuite]

ADAM = {"kind": "adam", "lr": 1e-3}
TWO: dict[str, tuple[Any, Any]] = {
    "dataset": ("digits", "digits"),
    "model": ("mlp", "mlp"),
    "workers": (2, 4),
    "batch_size": (16, 32),
    "optimizer": (ADAM, {"kind": "adam", "lr": 1e-4}),
    "partition": ("iid", {"kind": "dirichlet", "alpha": 0.1}),
    "sampling": ("shuffle", "replacement"),
    "last_batch": ("wrap", "drop"),
    "averaging": ("uniform", "samples"),
    "precision": ("fp32", "bf16"),
    "batchnorm_stats": ("local", "averaged"),
    "participation": ({"clients": 30}, {"clients": 40}),
    "message_loss": ({"probability": 0.1}, {"probability": 0.2}),
    "speeds": ({"lowest": 0.5}, {"lowest": 0.25}),
}
"""Two values for each axis of a workload. There is one small data set, and one model for it."""
AXES = [axis for axis, (one, other) in TWO.items() if one != other]
WITHIN = [
    ("optimizer", {"kind": "adam", "lr": [1e-3, 1.0000001e-3]}),
    ("optimizer", {"kind": "adam", "lr": 1e-3, "state_on_sync": ["keep", "reset"]}),
    ("optimizer", [ADAM, {"kind": "sgd", "lr": 1e-3}]),
    ("partition", {"kind": "dirichlet", "alpha": [0.1, 0.1000001]}),
    ("partition", {"kind": "dirichlet", "alpha": 0.1, "shares": ["per-class", "per-worker"]}),
    ("partition", {"kind": "dirichlet", "alpha": 0.1, "min_samples": [1, 2]}),
    ("participation", {"clients": 30, "client_state": ["kept", "fresh"]}),
    ("participation", {"clients": 30, "availability": {"share": [0.5, 0.7], "period": 4}}),
    ("message_loss", {"probability": 0.1, "quorum": [1, 2]}),
    ("speeds", {"values": ["1 0.5", "1 1 0.25"]}),
]


def workloads(suite: LoadedSuite) -> dict[str, WorkloadTitle]:
    return workloads_of(suite.to_lock().cell)


def assert_told_apart(suite: LoadedSuite) -> None:
    """Workload, strategy and seed identify one cell, and so does a title."""
    actual, cells = workloads(suite), suite.to_lock().cell
    keys = Counter((actual[c.id].id, c.label, c.config.seed) for c in cells)
    assert max(keys.values()) == 1
    assert len({w.title for w in actual.values()}) == len({w.id for w in actual.values()})
    assert len({cell.title for cell in suite.cells}) == len(suite.cells)


def test_every_axis_of_a_workload_is_tested() -> None:
    assert list(TWO) == list(schema.Workload.model_fields)


@pytest.mark.parametrize("axis", AXES)
def test_a_list_on_any_axis_makes_one_workload_for_each_value(good: Table, read: Read, axis: str) -> None:
    good["workload"][0][axis] = list(TWO[axis])
    suite = read(good, "seeds=[0, 1]")
    actual = workloads(suite)
    assert_told_apart(suite)
    assert len({workload.id for workload in actual.values()}) == 2
    assert grid_summary(suite) == "12 cells = 3 strategies x 2 workloads x 2 seeds"


@pytest.mark.parametrize(("axis", "values"), WITHIN, ids=str)
def test_a_list_within_a_table_makes_one_workload_for_each_value(
    good: Table, read: Read, axis: str, values: Any
) -> None:
    good["workload"][0][axis] = values
    suite = read(good, "seeds=[0, 1]")
    assert_told_apart(suite)
    assert grid_summary(suite) == "12 cells = 3 strategies x 2 workloads x 2 seeds"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(axes=st.sets(st.sampled_from(AXES), max_size=4), tables=st.lists(st.sampled_from(WITHIN), max_size=2))
def test_lists_on_several_axes_make_one_workload_for_each_combination(
    good: Table, read: Read, axes: set[str], tables: list[tuple[str, Any]]
) -> None:
    changed = {axis: list(TWO[axis]) for axis in axes} | dict(tables)
    assume("participation" not in changed or not {"averaging", "speeds"} & changed.keys())  # these exclude each other
    suite = read({**good, "workload": [{**good["workload"][0], **changed}]})
    assert_told_apart(suite)
    assert grid_summary(suite).startswith(f"{len(suite.cells)} cells = 3 strategies x {len(suite.cells) // 3} workload")


def test_a_title_has_the_base_and_exactly_the_varied_settings(good: Table, read: Read) -> None:
    good["workload"][0] |= {"optimizer": {"kind": "adam", "lr": [1e-3, 1e-4]}, "averaging": ["uniform", "samples"]}
    base = "digits mlp, K=4, b=16, dirichlet(1)"
    assert {workload.title for workload in workloads(read(good)).values()} == {
        f"{base}, lr={lr}, averaging={averaging}" for lr in ("0.001", "0.0001") for averaging in ("uniform", "samples")
    }
    assert {cell.title for cell in read(good).cells if cell.label == "FedAvg"} == {
        f"FedAvg | digits mlp | dirichlet(1) | lr={lr} averaging={averaging} | K=4 b=16 s0"
        for lr in ("0.001", "0.0001")
        for averaging in ("uniform", "samples")
    }


def test_the_optimizer_of_a_strategy_is_not_part_of_the_workload(good: Table, read: Read) -> None:
    """As the paper's FedAdam, or Synchronous with several learning rates."""
    good["strategy"][0]["optimizer"] = {"kind": "adam", "lr": [1e-3, 1e-2]}
    good["strategy"][1]["optimizer"] = {"kind": "sgd", "lr": 0.1}
    suite = read(good)
    assert len(set(workloads(suite).values())) == 1
    assert_told_apart(suite)


def test_a_strategy_with_its_own_optimizer_is_compared_in_the_first_workload_with_a_note(
    good: Table, read: Read
) -> None:
    good["workload"][0]["optimizer"] = {"kind": "adam", "lr": [1e-3, 1e-4]}
    good["strategy"][1]["optimizer"] = {"kind": "sgd", "lr": 0.1}
    suite = read(good)
    actual = workloads(suite)
    (own,) = [actual[cell.id] for cell in suite.cells if cell.label == "FedAvg"]
    assert own.title.endswith("lr=0.001")
    assert any(note.startswith("FedAvg: with an optimizer of its own") for note in suite.notes)
    assert_told_apart(suite)
    assert grid_summary(suite) == "5 cells of 3 strategies x 2 workloads x 1 seed"


def test_a_workload_does_not_depend_on_the_order_of_its_keys(good: Table, read: Read) -> None:
    turned = {**good, "workload": [dict(reversed(good["workload"][0].items()))]}
    assert workloads(read(turned)) == workloads(read(good))


def test_titles_without_an_axis_are_equal_for_workloads_that_differ_only_in_it(good: Table, read: Read) -> None:
    good["workload"] = [
        {**good["workload"][0], "workers": [2, 4], "averaging": "samples"},
        {**good["workload"][0], "workers": 4, "averaging": "uniform"},
    ]
    actual = sorted(set(workloads(read(good)).values()), key=lambda workload: workload.title)
    assert [workload.except_workers.rsplit(", ", 1)[1] for workload in actual] == [
        "averaging=samples",
        "averaging=samples",
        "averaging=uniform",
    ]
    assert actual[0].except_workers == actual[1].except_workers != actual[2].except_workers
    assert actual[1].except_partition == "digits mlp, K=4, b=16, averaging=samples"


@pytest.mark.parametrize(
    ("strategies", "expected"),
    [
        (
            [{"kind": "fda", "monitor": "naive", "theta": [1, 2], "name": "Mine"}],
            ["Mine θ=1", "Mine θ=2"],
        ),
        (
            [{"kind": "fda", "monitor": "naive", "theta": [1.0, 1.0000001]}],
            ["NaiveFDA θ=1", "NaiveFDA θ=1 #2"],
        ),
        (
            [{"kind": "fedavg", "local_steps": 5, "name": "Synchronous"}, {"kind": "synchronous"}],
            ["Synchronous", "Synchronous #2"],
        ),
    ],
    ids=["name of a list", "close numbers", "name of another"],
)
def test_no_two_strategies_have_one_label(
    good: Table, read: Read, strategies: list[Table], expected: list[str]
) -> None:
    good["strategy"] = strategies
    assert [cell.label for cell in read(good).cells] == expected


def test_the_headline_target_is_frozen_with_the_suite(good: Table, read: Read) -> None:
    good["eval"] |= {"targets": [0.3, 0.5], "headline": 0.5}
    named = read(good)
    assert named.to_lock().headline == 0.5
    del good["eval"]["headline"]
    unnamed = read(good)
    assert "headline" not in unnamed.to_lock().to_dict()
    assert [cell.id for cell in named.cells] == [cell.id for cell in unnamed.cells]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"headline": 0.7}, "eval.headline: 0.7 is not among eval.targets (0.3, 0.5)"),
        ({"headline": 0.7, "targets": []}, "eval.headline: 0.7 is not among eval.targets (there are none)"),
        ({"headline": 70}, "eval.headline: 70 is out of range: it must be at most 1; a fraction, so 98 % is 0.98"),
    ],
    ids=["another", "no targets", "in percent"],
)
def test_a_headline_that_is_not_a_target_is_refused(good: Table, read: Read, changes: Table, fault: str) -> None:
    good["eval"] |= {"targets": [0.3, 0.5], **changes}
    with pytest.raises(SuiteError) as refused:
        read(good)
    assert [line.split(": ", 1)[1] for line in refused.value.faults] == [fault]


def test_ids_without_a_setting_are_equal_for_cells_that_differ_only_in_it(good: Table, read: Read) -> None:
    """Also where a title has too few digits to tell two workloads apart."""
    first, other = ({"kind": "dirichlet", "alpha": alpha} for alpha in (0.5, 0.5 * (1 + 1e-9)))
    good["workload"] = [
        {**good["workload"][0], "workers": 2, "partition": first},
        {**good["workload"][0], "workers": 4, "partition": first},
        {**good["workload"][0], "workers": 8, "partition": other},
    ]
    actual = sorted(set(workloads(read(good)).values()), key=lambda workload: int(workload.head.split("K=")[1][0]))
    assert actual[0].except_workers_id == actual[1].except_workers_id != actual[2].except_workers_id
    assert len({workload.except_partition_id for workload in actual}) == 3
