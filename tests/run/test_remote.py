"""Cells run as on another machine, in a folder that is gone afterwards: the same numbers, the same checkpoints."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from fdabench.catalogue.load import Packed
from fdabench.errors import TaskError
from fdabench.results.store import TABLES, Store
from fdabench.run.away import Began, Errand, Left, Message, Parcel, Went, run_parcels
from fdabench.run.closure import code_of
from fdabench.run.custody import write_begun, write_left, write_lost
from fdabench.run.pool import Place
from fdabench.run.shared import load_all
from fdabench.suite.cell import Cell

DATA = load_all(["digits"], Path("no-data"))
ERRAND = Errand("cpu", "sequential", 1, 60.0, Packed())


def away(cell: Cell, *, record: Any = None, checkpoint: bytes | None = None, stop: Callable[[], bool] = bool) -> Any:
    heard: list[Message] = []
    parcel = Parcel(cell, code_of(cell.config), record, checkpoint)
    (left,) = run_parcels(ERRAND, [parcel], asdict(DATA["digits"]), heard.append, stop)
    return left, heard


def place(root: Path) -> Place:
    return Place(Store(root), DATA, torch.device("cpu"), "sequential", 1, 1, 1)


def assert_same_tables(left: Store, right: Store, cell_id: str) -> None:
    for name in TABLES:
        mine, its = (store.read_cell_table(cell_id, name).to_pandas() for store in (left, right))
        assert mine.drop(columns="wall_s", errors="ignore").equals(its.drop(columns="wall_s", errors="ignore")), name


def test_a_remote_cell_returns_the_files_that_a_local_cell_writes(ran: Any, tmp_path: Path) -> None:
    for label in ("Synchronous", "FedAdam"):
        cell, there = ran.cells[label], place(tmp_path)
        write_begun(cell, there)
        left, heard = away(cell)
        write_left(left, there.store)
        assert_same_tables(there.store, ran.store, cell.id)
        assert heard[0] == Began(cell.id)
        assert all(isinstance(message, Went) for message in heard[1:])
        mine, its = there.store.read_record(cell.id), ran.store.read_record(cell.id)
        assert mine is not None
        assert its is not None
        clocks = ("started", "ended", "wall_s", "process")
        assert {key: mine[key] for key in mine if key not in clocks} == {
            key: its[key] for key in its if key not in clocks
        }
        names = {path.name for path in there.store.cell_dir(cell.id).iterdir()}
        assert names == {"cell.json", *(f"{name}.parquet" for name in TABLES)}


def test_a_stopped_cell_sends_its_checkpoint_and_resumes_on_another_machine(ran: Any, tmp_path: Path) -> None:
    """The first answer is no, at the beginning; the thread's is yes."""
    cell, there = long_cell(ran), place(tmp_path)
    answers = iter([False])
    left, _ = away(cell, stop=lambda: next(answers, True))
    assert left.record["state"] == "interrupted"
    assert 0 < left.record["steps"] < 1500
    write_left(left, there.store)
    checkpoint = there.store.checkpoint_path(cell.id).read_bytes()
    again, _ = away(cell, record=there.store.read_record(cell.id), checkpoint=checkpoint)
    assert (again.record["state"], again.record["attempts"]) == ("done", 2)
    assert again.record["resumed_at_step"] == left.record["steps"]
    write_left(again, there.store)
    assert not there.store.checkpoint_path(cell.id).exists()
    whole, _ = away(cell)
    write_left(Left(whole.record, whole.files), Store(tmp_path / "whole"))
    assert_same_tables(there.store, Store(tmp_path / "whole"), cell.id)


def long_cell(ran: Any) -> Cell:
    cell: Cell = ran.cells["Synchronous"]
    config = {**cell.config, "budget": {"steps": 1500}, "eval": {**cell.config["eval"], "every_steps": 500}}
    return Cell(config, cell.label, cell.reference)


def test_other_code_on_another_node_is_reported_before_anything_is_run(ran: Any) -> None:
    cell = ran.cells["Synchronous"]
    parcel = Parcel(cell, {**code_of(cell.config), "strategies/synchronous.py": "other"}, None, None)
    with pytest.raises(TaskError, match=r"another version of fdabench: strategies/synchronous\.py differ there"):
        run_parcels(ERRAND, [parcel], asdict(DATA["digits"]), lambda message: None, bool)


def test_each_start_of_a_cell_is_an_attempt_even_without_a_result(ran: Any, tmp_path: Path) -> None:
    cell, there = ran.cells["FedAvg"], place(tmp_path)
    assert write_lost(cell.id, there.store, "its node died") is None
    write_begun(cell, there)
    write_begun(cell, there)
    lost = write_lost(cell.id, there.store, "its node died")
    assert lost is not None
    assert (lost["state"], lost["attempts"]) == ("lost", 2)
    left, _ = away(cell, record=lost)
    assert (left.record["state"], left.record["attempts"]) == ("done", 3)
