"""Availability traces: the participants by hand, and the files, paths and values that are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fdabench.datasets.availability import read_intervals
from fdabench.engine.clients import AvailabilityTrace, ClientDraw
from fdabench.errors import SuiteError, WorkloadError
from fdabench.experiment.build import build_cell
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.registry.plugin_loading import pack_plugins
from fdabench.suite.reader import LoadedSuite, read_suite
from support.cells import CPU, load_dataset, stop_and_resume
from support.suites import FEDAVG, digits_suite

HAND_MADE = pd.DataFrame(
    [
        # rows in no order; client 0 has two intervals, client 3 is there in all of the period of 6 rounds
        (2, 4, 6),
        (0, 0, 2),
        (1, 1.5, 3),
        (0, 5, 6),
        (3, 0, 6),
    ],
    columns=["client", "start", "stop"],
)


def suite_of(folder: Path, *, participation: str, workers: int = 2, steps: int = 12) -> LoadedSuite:
    (folder / "suite.toml").write_text(
        digits_suite(
            [FEDAVG], steps=steps, every_steps=6, workers=workers, workload=f"participation = {participation}"
        ),
        encoding="utf-8",
    )
    return read_suite(folder / "suite.toml")


def output(clients: int = 4, trace: str = "day.parquet", period: int = 6) -> str:
    return f'{{ clients = {clients}, availability = {{ trace = "{trace}", period = {period} }} }}'


def law(clients: int) -> AvailabilityTrace:
    rows = HAND_MADE.sort_values(["client", "start"])
    return AvailabilityTrace(
        rows["client"].to_numpy(), rows["start"].to_numpy(float), rows["stop"].to_numpy(float), 6, clients
    )


def test_the_clients_of_each_round_are_those_of_the_example_trace() -> None:
    # rounds until each of the four clients is available
    until = [
        [0, 1.5, 4, 0],
        [0, 0.5, 3, 0],
        [3, 0, 2, 0],
        [2, 4.5, 1, 0],
        [1, 3.5, 0, 0],
        [0, 2.5, 0, 0],
    ]
    for index in range(18):
        assert law(4).rounds_until(index).tolist() == until[index % 6]
        # the fifth and sixth client have the times of the first two
        assert law(6).rounds_until(index).tolist() == [*until[index % 6], *until[index % 6][:2]]
    draw = ClientDraw(4, 2, seed=0, availability=law(4))
    # two are available in each round, three in round 5
    assert [draw.available(index) for index in range(6)] == [2, 2, 2, 1, 2, 3]
    by_hand = [[0, 3], [0, 3], [1, 3], [2, 3], [2, 3]]  # in round 3 the server waits for client 2
    assert [draw.participants(index).tolist() for index in range(5)] == by_hand
    assert {*draw.participants(5).tolist()} < {0, 2, 3}
    assert {tuple(draw.participants(6 * day + 5).tolist()) for day in range(40)} == {(0, 2), (0, 3), (2, 3)}


def test_a_cell_trains_the_available_clients_of_its_trace(tmp_path: Path) -> None:
    HAND_MADE.to_parquet(tmp_path / "day.parquet")
    suite = suite_of(tmp_path, participation=output())
    (cell,) = suite.cells
    resolved = ResolvedCell(cell.config, suite.registry)
    clients = build_cell(resolved, load_dataset(cell.config)).clients
    assert clients is not None
    assert [clients.draw.participants(index).tolist() for index in range(3)] == [[0, 3], [0, 3], [1, 3]]
    with pytest.raises(WorkloadError, match="this process has read none; give all processes the same file"):
        build_cell(ResolvedCell(cell.config), load_dataset(cell.config))
    assert pack_plugins(suite.registry).unpack().availability.keys() == suite.registry.availability.keys()


def test_the_id_of_a_cell_depends_on_the_intervals_and_not_on_the_folder_or_the_order(tmp_path: Path) -> None:
    ids = {}
    for name, table in {
        "first": HAND_MADE,
        "shuffled": HAND_MADE.sample(frac=1, random_state=1).astype(float).astype({"client": "int32"}),
        "changed": HAND_MADE.replace({"start": {1.5: 1.75}}),
    }.items():
        (tmp_path / name).mkdir()
        table.to_parquet(tmp_path / name / "day.parquet", compression=None)
        (cell,) = suite_of(tmp_path / name, participation=output()).cells
        ids[name] = cell.id
    assert ids["first"] == ids["shuffled"] != ids["changed"]


def test_a_cell_resumes_to_the_same_bits(tmp_path: Path) -> None:
    HAND_MADE.to_parquet(tmp_path / "day.parquet")
    suite = suite_of(tmp_path, participation=output())
    (cell,) = suite.cells
    (stopped, last), whole, resumed = stop_and_resume(cell, tmp_path, (7,), replace(CPU, registry=suite.registry))
    assert (stopped.state, last.state, last.resumed_at_step) == ("interrupted", "done", 7)
    for name, table in resumed.items():
        pd.testing.assert_frame_equal(table, whole[name], check_exact=True)


def test_every_trace_of_a_list_makes_a_cell(tmp_path: Path) -> None:
    HAND_MADE.to_parquet(tmp_path / "day.parquet")
    HAND_MADE.assign(stop=6.0).drop(index=1).to_parquet(tmp_path / "night.parquet")
    two = output().replace('"day.parquet"', '["day.parquet", "night.parquet"]')
    first, second = suite_of(tmp_path, participation=two).cells
    assert first.id != second.id


@pytest.mark.parametrize(
    ("table", "messages"),
    [
        (HAND_MADE.rename(columns={"stop": "stopp"}), ["the column stop, the round from which", 'did you mean "stop']),
        (HAND_MADE.iloc[:0], ["the trace has no rows"]),
        (HAND_MADE.replace({"client": {1: 9}}), ["client must be whole numbers 0, 1, ... without gaps"]),
        (HAND_MADE.astype({"client": str}), ["client must be whole numbers"]),
        (
            HAND_MADE.assign(start=[-1, 0, np.nan, 5, 0], stop=[6, 0, 3, 6, np.inf]),
            [
                "start of row 0 is -1; every value must be a finite number, 0 or above",
                "stop of row 1 is 0; every value must be a finite number above start",
            ],
        ),
        (HAND_MADE.replace({"stop": {2: 5.5}}), ["two intervals of client 0 overlap: 0 to 5.5 and 5 to 6; join them"]),
    ],
)
def test_all_faults_of_a_trace_file_are_reported(table: pd.DataFrame, messages: list[str], tmp_path: Path) -> None:
    table.to_parquet(tmp_path / "day.parquet")
    with pytest.raises(SuiteError) as refused:
        suite_of(tmp_path, participation=output())
    text = str(refused.value)
    assert "workload.0.participation.availability.trace: " in text
    assert all(message in text for message in messages), text


@pytest.mark.parametrize(
    ("participation", "message"),
    [
        (output(trace="nigth.parquet"), "nigth.parquet: cannot be read: No such file or directory"),
        (output(trace="suite.toml"), "it cannot be read as Parquet"),
        (output(trace="."), "cannot be read"),
        (output(period=5), "availability.period: 5 rounds, but the trace ends in round 6; use at least that"),
        (output(clients=3), "availability.trace: on average 1.08 of 3 clients are available, and workers = 2"),
        (output().replace(", period = 6", ""), "period"),
        (output().replace("period", "share = 0.5, period"), "share or trace says when clients are available; both"),
        ("{ clients = 4, availability = { period = 6 } }", "neither is given"),
        (output().replace('"day.parquet"', "3"), "trace"),
    ],
)
def test_invalid_settings_of_a_trace_are_refused(participation: str, message: str, tmp_path: Path) -> None:
    HAND_MADE.to_parquet(tmp_path / "day.parquet")
    with pytest.raises(SuiteError) as refused:
        suite_of(tmp_path, participation=participation)
    assert message in str(refused.value)


def test_a_hundred_thousand_clients_repeat_the_trace(tmp_path: Path) -> None:
    HAND_MADE.to_parquet(tmp_path / "day.parquet")
    trace = read_intervals(tmp_path / "day.parquet")
    assert trace.mean_available(100_001, 6) == pytest.approx(25_000 * (3 + 1.5 + 2 + 6) / 6 + 0.5)
    many = AvailabilityTrace(trace.client_M, trace.start_M, trace.stop_M, 6, 100_001)
    assert (many.rounds_until(0) == 0).sum() == 50_001
