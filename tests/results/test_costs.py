"""The costs of a ledger for every convention and at every step, against numbers computed by hand."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdabench.accounting.costs import (
    CONVENTIONS,
    ByteCounts,
    EvalPoint,
    Message,
    add_byte_columns,
    bytes_at,
    collectives_at,
    peak_step_bytes,
    total_bytes,
    upstream_bytes,
)
from fdabench.formatting import format_component
from fdabench.results.derive import derive_hits, derive_runs, first_evaluation_reaching
from fdabench.results.schema import LEDGER
from support.digits_results import make_lock, make_record

K = 5
COLUMNS = [field.name for field in LEDGER if field.name != "cell_id"]


def ledger_of(*rows: tuple[str, int, int, int, int]) -> pd.DataFrame:
    """Rows of kind, first step, last step, count, payload bytes."""
    full = [
        (kind, first, last, count, n // 4, "float32", n, "all_reduce", n, 0) for kind, first, last, count, n in rows
    ]
    return pd.DataFrame(full, columns=COLUMNS)


# a model of 100 numbers; FDA that monitors 8 bytes in each of 20 steps and synchronizes at steps 7, 11 and 15
FDA = ledger_of(("initial", 0, 0, 1, 400), ("state", 1, 20, 20, 8), ("model", 7, 15, 3, 400))


@pytest.mark.parametrize(
    ("convention", "model", "state"),
    [
        ("paper", 2 * 5 * 400 * (1 + 3), 5 * 8 * 20),
        ("star", 2 * 5 * 400 * (1 + 3), 2 * 5 * 8 * 20),
        ("ring", 2 * 4 * 400 * 3, 2 * 4 * 8 * 20),
        ("upload", 5 * 400 * 3, 5 * 8 * 20),
    ],
)
def test_the_bytes_of_a_run_follow_from_the_convention(convention: str, model: int, state: int) -> None:
    assert total_bytes(FDA, K, convention) == ByteCounts(model, state, 0)
    assert total_bytes(FDA, K, convention).total == model + state


def test_every_convention_is_worked_out_above() -> None:
    assert set(CONVENTIONS) == {"paper", "star", "ring", "upload"}


def test_averaged_optimizer_state_costs_as_much_as_a_model_of_its_size() -> None:
    ledger = ledger_of(("model", 1, 3, 3, 400), ("optimizer", 1, 3, 6, 400))
    for convention in CONVENTIONS:
        spent = total_bytes(ledger, K, convention)
        assert spent.optimizer == 2 * spent.model > 0


@pytest.mark.parametrize(
    ("step", "syncs", "states"),
    [(1, 0, 1), (6, 0, 6), (7, 0, 7), (8, 1, 8), (11, 1, 11), (12, 2, 12), (15, 2, 15), (16, 3, 16), (20, 3, 20)],
)
def test_an_evaluation_comes_after_the_states_and_before_the_sync_of_its_step(
    step: int, syncs: int, states: int
) -> None:
    assert bytes_at(FDA, EvalPoint(step), K, "paper") == ByteCounts(2 * 5 * 400 * (1 + syncs), 5 * 8 * states, 0)


@pytest.mark.parametrize(("step", "syncs"), [(6, 0), (7, 1), (8, 1), (11, 2), (15, 3), (20, 3)])
def test_an_evaluation_of_a_servers_model_includes_the_sync_of_its_step(step: int, syncs: int) -> None:
    assert bytes_at(FDA, EvalPoint(step, after_sync=True), K, "paper") == ByteCounts(
        2 * 5 * 400 * (1 + syncs), 5 * 8 * step, 0
    )


def test_costs_beyond_32_bits_are_exact() -> None:
    ledger = ledger_of(("model", 1, 10**9, 10**9, 4 * 10**8 + 4))
    assert total_bytes(ledger, 1000, "paper").model == 2 * 1000 * (4 * 10**8 + 4) * 10**9


RUN = st.tuples(
    st.sampled_from(["model", "state", "optimizer"]),
    st.integers(1, 30),
    st.integers(1, 6),
    st.integers(1, 12),
    st.sampled_from([4, 8, 400]),
)


@given(st.lists(RUN, max_size=5), st.integers(0, 120), st.integers(1, 8), st.sampled_from(sorted(CONVENTIONS)))
def test_runs_of_collectives_cost_what_each_of_them_costs(
    runs: list[tuple[str, int, int, int, int]], step: int, workers: int, convention: str
) -> None:
    """Against every collective written out: (kind, step, payload)."""
    rows = [(kind, first, first + stride * (count - 1), count, n) for kind, first, stride, count, n in runs]
    single = [("initial", 0, 400)]
    single += [(kind, first + stride * i, n) for kind, first, stride, count, n in runs for i in range(count)]
    ledger = ledger_of(("initial", 0, 0, 1, 400), *rows)
    done = [item for item in single if item[1] < step or (item[1] == step and item[0] in ("state", "initial"))]
    cost = CONVENTIONS[convention]

    def spent(kinds: tuple[str, ...], collectives: list[tuple[str, int, int]]) -> int:
        return sum(cost[kind](Message(n, n), workers) for kind, _, n in collectives if kind in kinds)

    for actual, expected in (
        (bytes_at(ledger, EvalPoint(step), workers, convention), done),
        (total_bytes(ledger, workers, convention), single),
    ):
        assert actual.model == spent(("initial", "model"), expected)
        assert actual.state == spent(("state",), expected)
        assert actual.optimizer == spent(("optimizer",), expected)
    assert collectives_at(ledger, EvalPoint(step)) == len(done)


@given(
    st.lists(RUN, max_size=5),
    st.lists(st.tuples(st.integers(0, 120), st.booleans()), min_size=1, max_size=6),
    st.integers(1, 8),
    st.sampled_from(sorted(CONVENTIONS)),
)
def test_many_evaluations_at_once_cost_what_each_of_them_costs(
    runs: list[tuple[str, int, int, int, int]], arguments: list[tuple[int, bool]], workers: int, convention: str
) -> None:
    rows = [(kind, first, first + stride * (count - 1), count, n) for kind, first, stride, count, n in runs]
    ledger = ledger_of(("initial", 0, 0, 1, 400), ("statistics", 3, 9, 3, 16), *rows)
    actual = add_byte_columns(pd.DataFrame(arguments, columns=["step", "after_sync"]), ledger, workers, convention)
    values = [bytes_at(ledger, EvalPoint(step, after), workers, convention) for step, after in arguments]
    columns = actual[["bytes_model", "bytes_state", "bytes_optimizer", "bytes_total"]]
    assert columns.to_numpy().tolist() == [[*bill, bill.total] for bill in values]


@pytest.mark.parametrize(
    ("accuracy", "target", "consecutive", "comparison", "position"),
    [
        ([0.1, 0.5, 0.9], 0.5, 1, ">=", 1),
        ([0.1, 0.5, 0.9], 0.5, 1, ">", 2),
        ([0.5], 0.5, 1, ">=", 0),
        ([0.5], 0.5, 1, ">", None),
        ([0.1, 0.2], 0.5, 1, ">=", None),
        ([0.6, 0.4, 0.6, 0.6, 0.6], 0.5, 3, ">=", 2),
        ([0.6, 0.6, 0.4, 0.6, 0.6], 0.5, 3, ">=", None),
        ([0.6, 0.6, 0.6], 0.5, 3, ">=", 0),
        ([0.4, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6], 0.5, 3, ">", 4),
        ([float("nan"), 0.6], 0.5, 1, ">=", 1),
        ([], 0.5, 1, ">=", None),
    ],
)
def test_a_target_is_hit_at_the_first_of_so_many_evaluations(
    accuracy: list[float], target: float, consecutive: int, comparison: str, position: int | None
) -> None:
    assert first_evaluation_reaching(pd.Series(accuracy, dtype=float), target, consecutive, comparison) == position


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"kind": "iid"}, "iid"),
        ({"kind": "dirichlet", "alpha": 0.1, "shares": "per-class"}, "dirichlet(alpha=0.1, shares=per-class)"),
        ({"kind": "label", "label": 3}, "label(label=3)"),
    ],
)
def test_a_component_is_described_by_its_kind_and_settings(table: dict[str, Any], text: str) -> None:
    assert format_component(table) == text


CONFIG: dict[str, Any] = {
    "dataset": "digits",
    "model": "mlp",
    "workers": K,
    "batch_size": 16,
    "optimizer": {"kind": "adam", "lr": 0.001},
    "partition": {"kind": "dirichlet", "alpha": 0.1},
    "strategy": {"kind": "fda", "theta": 1.0, "monitor": {"kind": "linear"}, "server": {"kind": "average"}},
    "budget": {"steps": 20},
    "eval": {"every_steps": 5},
    "seed": 3,
}
LOCK = make_lock(
    [{"id": name, "label": "LinearFDA", "reference": False, "config": CONFIG} for name in ("aa", "bb", "cc")],
    targets=[0.5, 0.9, 0.99],
)
RESOLVED = {"num_parameters": 100, "theta": 1.0}
RECORDS = {
    "aa": make_record("aa", config=CONFIG, resolved=RESOLVED, steps=20, wall_s=2.0),
    "bb": make_record("bb", "failed", config=CONFIG, resolved=RESOLVED),
}
EVALS = pd.DataFrame(
    {
        "cell_id": ["aa"] * 4,
        "step": [5, 10, 15, 20],
        "syncs": [0, 1, 2, 3],
        "after_sync": [False] * 4,
        "test_accuracy": [0.4, 0.6, 0.95, 0.9],
        "test_loss": [1.5, 1.1, 0.2, 0.3],
    }
)


def test_a_row_of_runs_has_the_axes_and_the_outcome() -> None:
    runs = derive_runs(LOCK, RECORDS, EVALS, FDA.assign(cell_id="aa")).set_index("cell_id")
    done = runs.loc["aa"]
    assert (done["strategy"], done["monitor"], done["server"], done["theta"]) == ("fda", "linear", "average", 1.0)
    assert (done["partition"], done["alpha"], done["optimizer"], done["lr"]) == (
        "dirichlet(alpha=0.1)",
        0.1,
        "adam",
        1e-3,
    )
    assert (done["state"], done["steps"], done["syncs"], done["seed"]) == ("done", 20, 3, 3)
    assert (done["bytes_model"], done["bytes_state"], done["bytes_optimizer"]) == (16_000, 800, 0)
    assert done["bytes_total"] == 16_800
    assert (done["final_accuracy"], done["best_accuracy"], done["worker_steps_per_s"]) == (0.9, 0.95, 50.0)


def test_cells_that_failed_or_never_started_are_rows_without_an_outcome() -> None:
    runs = derive_runs(LOCK, RECORDS, EVALS, FDA.assign(cell_id="aa")).set_index("cell_id")
    assert list(runs["state"]) == ["done", "failed", "pending"]
    assert runs.loc[["bb", "cc"], ["steps", "bytes_total", "final_accuracy"]].isna().all(axis=None)


def test_a_hit_has_the_bytes_spent_by_then_and_a_miss_is_a_row() -> None:
    hits = derive_hits(LOCK, RECORDS, EVALS, FDA.assign(cell_id="aa")).set_index("target")
    assert list(hits["cell_id"]) == ["aa"] * 3
    first, second, misses = (hits.loc[target] for target in LOCK.targets)
    # at step 10 one sync is made and 10 states are in; at step 15 the third sync is still to come
    assert (first["step"], first["step_before"], first["syncs"]) == (10, 5, 1)
    assert (first["bytes_model"], first["bytes_state"], first["bytes_total"]) == (8_000, 400, 8_400)
    assert (second["step"], second["syncs"], second["bytes_total"]) == (15, 2, 12_000 + 600)
    # one step before each: at step 5 the initial distribution and 5 states, at step 10 as above
    assert (first["bytes_before"], second["bytes_before"]) == (4_000 + 200, 8_400)
    assert not misses["reached"]
    assert misses[["step", "syncs", "bytes_total", "bytes_before"]].isna().all()


def test_a_hit_of_a_servers_model_includes_the_bytes_of_its_sync() -> None:
    served = EVALS.assign(syncs=[0, 1, 3, 3], after_sync=[False, False, True, False])
    hits = derive_hits(LOCK, RECORDS, served, FDA.assign(cell_id="aa")).set_index("target")
    hit = hits.loc[0.9]
    assert (hit["step"], hit["syncs"], hit["bytes_model"]) == (15, 3, 16_000)


def test_hits_follow_the_suites_convention_and_count() -> None:
    lock = LOCK.with_changes({"convention": "ring", "consecutive": 2, "targets": [0.5], "comparison": ">"})
    (hit,) = derive_hits(lock, RECORDS, EVALS, FDA.assign(cell_id="aa")).to_dict("records")
    assert (hit["step"], hit["bytes_model"], hit["bytes_state"]) == (10, 2 * 4 * 400, 2 * 4 * 8 * 10)
    assert hit["bytes_before"] == 2 * 4 * 8 * 5


def test_before_the_first_evaluation_only_the_initial_distribution_is_counted() -> None:
    at_once = EVALS.assign(test_accuracy=0.6)
    for convention, before in (("paper", 4_000), ("ring", 0)):
        lock = LOCK.with_changes({"convention": convention, "targets": [0.5]})
        (hit,) = derive_hits(lock, RECORDS, at_once, FDA.assign(cell_id="aa")).to_dict("records")
        assert (hit["step"], hit["step_before"], hit["bytes_before"]) == (5, 0, before)


def test_the_previous_evaluation_includes_its_own_sync() -> None:
    served = EVALS.assign(syncs=[0, 1, 2, 3], after_sync=[True] * 4)
    ledger = ledger_of(("initial", 0, 0, 1, 400), ("model", 10, 20, 3, 400))
    hits = derive_hits(LOCK, RECORDS, served, ledger.assign(cell_id="aa")).set_index("target")
    # the sync of step 10 is made before step 10 is evaluated
    assert (hits.loc[0.9, "step_before"], hits.loc[0.9, "bytes_before"]) == (10, 8_000)


PACKED = pd.DataFrame(
    [
        ("initial", 0, 0, 1, 100, "float32", 400, "all_reduce", 400, 0),
        ("state", 1, 20, 20, 2, "float32", 8, "all_reduce", 8, 0),
        ("model", 10, 20, 2, 50, "uint8", 50, "gather", 400, 0),
        ("model", 15, 15, 1, 50, "uint8", 50, "all_gather", 200, 0),
    ],
    columns=COLUMNS,
)


@pytest.mark.parametrize(
    ("convention", "model", "up"),
    [
        # the initial model, two gathers of 50 up and 400 down, one of 50 up and 4 x 50 down, of five workers
        ("paper", 5 * 800 + 2 * 5 * 450 + 5 * 250, 5 * 400 + 3 * 5 * 50 + 20 * 5 * 8),
        ("star", 5 * 800 + 2 * 5 * 450 + 5 * 250, 5 * 400 + 3 * 5 * 50 + 20 * 5 * 8),
        ("ring", 2 * 4 * 450 + 4 * 5 * 50, 2 * 4 * 50 + 4 * 5 * 50 + 20 * 4 * 8),
        ("upload", 3 * 5 * 50, 3 * 5 * 50 + 20 * 5 * 8),
    ],
)
def test_packed_messages_by_hand(convention: str, model: int, up: int) -> None:
    assert total_bytes(PACKED, K, convention).model == model
    assert upstream_bytes(PACKED, K, convention) == up


def test_the_peak_is_the_most_expensive_step() -> None:
    """Steps 10 and 20: a state and a gather; the initial distribution is before any step."""
    assert peak_step_bytes(PACKED, K, "paper") == 5 * 8 + 5 * 450
    assert peak_step_bytes(PACKED, K, "upload") == 5 * 8 + 5 * 50
    assert peak_step_bytes(PACKED.iloc[:1], K, "paper") == 0
