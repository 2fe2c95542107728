"""Extrapolated costs: at the measured size they equal the numbers of the ledger."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fdabench.accounting.costs import CONVENTIONS, total_bytes
from fdabench.core.count_sketch import draw_hashes
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.planning.extrapolate import TargetScale, estimate_costs
from fdabench.planning.forecast import forecast_bytes
from fdabench.planning.memory import process_bytes
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import load
from fdabench.suite.cell import Cell
from support.cells import run_cell
from support.digits_results import make_lock

Change = Callable[..., list[Cell]]
AVERAGED = 'workload.optimizer={ kind = "adam", lr = 1e-3, state_on_sync = "average" }'
HUGE = TargetScale(10**6, 10**11, 10**6)


def test_at_the_size_that_was_run_bytes_and_syncs_are_those_of_the_ledger(ran: Any) -> None:
    """For every strategy, to the byte: the closed form knows all that crosses."""
    results = load(ran.store.root)
    runs = results.runs.set_index("label")
    actual = estimate_costs(list(ran.cells.values()), TargetScale(), "paper", results)
    assert [item.cell.label for item in actual] == list(runs.index)
    for item in actual:
        assert item.volumes is not None
        low, high = item.volumes
        assert low == high
        assert low.wire_bytes == runs.at[item.cell.label, "bytes_total"]
        assert item.syncs == (runs.at[item.cell.label, "syncs"],) * 2
        assert item.measured is not None
        assert (item.measured.predictions_hold, item.measured.cells) == (1, 1)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_bytes_are_exact_integers_of_any_size(cells: Change, convention: str) -> None:
    """Ten million times what a float can count one by one; the formula is written out by hand."""
    workers, parameters, steps = HUGE
    assert workers is not None
    assert parameters is not None
    assert steps is not None
    n = 4 * parameters
    sync = {"paper": 2 * workers * n, "star": 2 * workers * n, "upload": workers * n, "ring": 2 * (workers - 1) * n}
    initial = {"paper": 2 * workers * n, "star": 2 * workers * n, "upload": 0, "ring": 0}
    state = {"paper": workers * 8, "star": 2 * workers * 8, "upload": workers * 8, "ring": 2 * (workers - 1) * 8}
    actual = {values.cell.label: values for values in estimate_costs(cells(), HUGE, convention)}
    volumes = {label: values.volumes for label, values in actual.items()}
    ((low, high),) = [value for label, value in volumes.items() if label == "Synchronous" and value is not None]
    assert low.wire_bytes == high.wire_bytes == initial[convention] + steps * sync[convention]
    linear = next(
        values
        for values in actual.values()
        if values.cell.label.startswith("LinearFDA") and "4" not in values.cell.label
    )
    assert linear.basis == "bound"
    assert linear.volumes is not None
    states = initial[convention] + steps * state[convention]
    assert [volume.wire_bytes for volume in linear.volumes] == [states, states + steps * sync[convention]]


def test_a_measured_rate_is_used_and_theta_grows_with_the_parameters(ran: Any) -> None:
    results = load(ran.store.root)
    cell = next(cell for label, cell in ran.cells.items() if label.startswith("NaiveFDA"))
    (here,) = estimate_costs([cell], TargetScale(), "paper", results)
    (there,) = estimate_costs([cell], TargetScale(1000, 7 * here.measured_at.parameters, 24_000), "paper", results)
    assert here.syncs is not None
    assert there.basis == "measured"
    assert there.syncs == (1000 * here.syncs[0],) * 2
    assert there.theta == pytest.approx(7 * 0.3)
    assert here.compute_s is not None
    assert there.compute_s == pytest.approx(7000 * here.compute_s)


def test_without_a_complete_cell_no_rate_is_measured(ran: Any, tmp_path: Path) -> None:
    """A cell that diverged has synced as it should not."""
    store = ResultsFolder(tmp_path / "copy")
    store.write_lock(ran.store.read_lock())
    for label, cell in ran.cells.items():
        tables = {name: ran.store.read_cell_table(cell.id, name).to_pylist() for name in ("evals", "ledger", "rounds")}
        tables |= {name: ran.store.read_cell_table(cell.id, name).to_pylist() for name in ("trace", "partition")}
        store.write_tables(cell.id, tables, cell.canonical_json)
        store.write_record(ran.records[label].with_changes({"state": "diverged"}))
    actual = estimate_costs(list(ran.cells.values()), TargetScale(), "paper", load(store.root))
    assert {item.measured for item in actual} == {None}
    assert {item.basis for item in actual} == {"exact", "bound"}


def test_averaged_moments_are_counted(cells: Change, tmp_path: Path) -> None:
    cell = next(cell for cell in cells(AVERAGED) if cell.label.startswith("NaiveFDA"))
    store = ResultsFolder(tmp_path / "out")
    store.write_lock(make_lock([cell.to_lock()], suite="tiny", convention="ring"))
    run_cell(cell, store)
    results = load(store.root)
    (actual,) = estimate_costs([cell], TargetScale(), "ring", results)
    assert actual.measured is not None
    assert actual.measured.predictions_hold == 1
    assert results.runs["bytes_optimizer"].iloc[0] > 0


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_forecast_of_a_run_with_averaged_moments_equals_its_ledger(
    cells: Change, tmp_path: Path, convention: str
) -> None:
    (cell,) = [cell for cell in cells(AVERAGED) if cell.label == "FedAvgM"]
    store = ResultsFolder(tmp_path / "out")
    run_cell(cell, store)
    ledger = store.read_cell_table(cell.id, "ledger").to_pandas()
    spent = total_bytes(ledger, cell.config.workers, convention)
    bound = forecast_bytes(ResolvedCell(cell.config), convention)
    assert spent.optimizer > spent.model / 2
    assert bound == (spent.total, spent.total)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("changes", [(), (AVERAGED,)], ids=["moments kept", "moments averaged"])
def test_plan_and_extrapolation_forecast_the_same_bytes(
    cells: Change, changes: tuple[str, ...], convention: str
) -> None:
    actual = {item.cell.id: item.volumes for item in estimate_costs(cells(*changes), TargetScale(), convention)}
    for cell in cells(*changes):
        volumes = actual[cell.id]
        assert volumes is not None
        assert forecast_bytes(ResolvedCell(cell.config), convention) == tuple(volume.wire_bytes for volume in volumes)


def test_memory_counts_every_vector_of_a_process(cells: Change) -> None:
    """Model, gradient, two global models, the drift and Adam's two moments; and what strategy and monitor add."""
    numbers = 10**6
    linear = cells("strategy.4.monitor=linear")
    actual = {cell.label: process_bytes(ResolvedCell(cell.config), numbers) for cell in linear}
    assert actual["Synchronous"] == actual["FedAvg"] == 7 * 4 * numbers
    assert actual["FedAdam"] == 9 * 4 * numbers
    assert actual["FedAvgM"] == 8 * 4 * numbers
    by_monitor = {
        monitor.kind: process_bytes(ResolvedCell(cell.config), numbers)
        for cell in cells()
        if (monitor := cell.config.strategy.component("monitor")) is not None
    }
    assert by_monitor["naive"] == 7 * 4 * numbers + 4
    assert by_monitor["linear"] == 8 * 4 * numbers + 8
    assert by_monitor["exact"] > 8 * 4 * numbers
    for optimizer, vectors in (('{ kind = "sgd", lr = 0.1 }', 5), ('{ kind = "sgd", lr = 0.1, momentum = 0.9 }', 6)):
        (first, *_) = cells(f"workload.optimizer={optimizer}")
        assert process_bytes(ResolvedCell(first.config), numbers) == vectors * 4 * numbers


def test_a_sketch_keeps_no_more_than_seven_bytes_for_each_parameter() -> None:
    numbers = 1_000_000
    hashes = draw_hashes(numbers, 5, 250, 0)
    parts = [*hashes.signs, *(part for matrix in hashes.segments for part in (matrix.values(), matrix.col_indices()))]
    assert 6 * numbers < sum(part.numel() * part.element_size() for part in parts) < 7 * numbers
