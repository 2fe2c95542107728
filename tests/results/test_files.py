"""Files are written completely or not at all, contain their metadata, and are refused with their path if unreadable."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fdabench.errors import ResultError
from fdabench.results import schema
from fdabench.results.files import atomic_write_bytes, read_json, read_table, write_json, write_table
from fdabench.results.folder import TABLES, ResultsFolder
from support.digits_results import ONE_CELL, make_lock, make_record

ROUND = {"round": 1, "step": 3, "steps": 3, "estimate": 1.5, "variance": 1.25, "theta": 1.0, "lr": 0.1, "residual": 0.5}

# the contract that other people's scripts read; columns may be added, never renamed or dropped
CONTRACT = {
    "evals": "cell_id step epoch round syncs paper_bytes_model paper_bytes_state paper_bytes_total test_accuracy "
    "test_loss train_loss train_accuracy estimate variance wall_s",
    "ledger": "kind first_step last_step count elements dtype payload_bytes",
    "rounds": "step steps estimate variance theta",
    "runs": "cell_id suite dataset model num_parameters workers batch_size partition alpha strategy monitor server "
    "theta period optimizer lr seed label state steps syncs bytes_model bytes_state bytes_total final_accuracy "
    "best_accuracy wall_s worker_steps_per_s",
    "hits": "cell_id target reached step step_before syncs bytes_total bytes_before",
}
ALL = {**TABLES, "runs": schema.RUNS, "hits": schema.HITS}


def test_bytes_of_another_convention_have_another_name() -> None:
    """`runs` and `hits` have bytes in the suite's convention, `evals` in the paper's."""
    evals, runs, hits = ({name for name in ALL[table].names if "bytes" in name} for table in ("evals", "runs", "hits"))
    assert len(evals) == 4
    assert not evals & (runs | hits)


def test_writing_makes_the_folders_above(tmp_path: Path) -> None:
    atomic_write_bytes(tmp_path / "a" / "b" / "file", b"text")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"text"


def test_writing_again_replaces_the_file_and_leaves_no_other_file(tmp_path: Path) -> None:
    for content in (b"first, and long", b"second"):
        atomic_write_bytes(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fails(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    atomic_write_bytes(tmp_path / "file", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(f"fdabench.results.files.os.{step}", fails)
        with pytest.raises(ResultError, match=r"file: cannot be written: No space left on device"):
            atomic_write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_interrupted_write_leaves_the_old_file_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    atomic_write_bytes(tmp_path / "file", b"old")
    with monkeypatch.context() as patched:
        patched.setattr("fdabench.results.files.os.fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            atomic_write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot be written"):
        atomic_write_bytes(tmp_path / "file" / "inside", b"")


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        atomic_write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", CONTRACT)
def test_every_table_has_the_columns_of_the_contract_and_a_unit_for_each(name: str) -> None:
    assert set(CONTRACT[name].split()) <= set(ALL[name].names)
    assert all(field.metadata[b"unit"] for field in ALL[name])


def test_clock_columns_are_marked_in_their_unit() -> None:
    clocks = {field.name for table in ALL.values() for field in table if b"clock" in field.metadata[b"unit"]}
    assert clocks == set(schema.CLOCK_COLUMNS)


def test_a_written_table_is_read_with_its_units_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "rounds.parquet"
    write_table(path, schema.ROUNDS, [ROUND, ROUND | {"estimate": float("nan"), "theta": None}], {"cell": '{"a":1}'})
    table = read_table(path, schema.ROUNDS)
    assert table.to_pylist()[0] == ROUND
    assert table.column("theta").null_count == 1
    metadata = pq.read_schema(path).metadata
    assert metadata[b"fdabench_schema"] == schema.SCHEMA_VERSION.encode()
    assert (metadata[b"table"], metadata[b"cell"]) == (b"rounds", b'{"a":1}')
    assert pq.read_schema(path).field("theta").metadata[b"unit"].startswith(b"threshold")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / name / "rounds.parquet", schema.ROUNDS, [ROUND], {})
    assert (tmp_path / "a" / "rounds.parquet").read_bytes() == (tmp_path / "b" / "rounds.parquet").read_bytes()


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_keeps_its_columns_and_types(tmp_path: Path, name: str) -> None:
    write_table(tmp_path / "empty.parquet", TABLES[name], [], {})
    table = read_table(tmp_path / "empty.parquet", TABLES[name])
    assert table.num_rows == 0
    assert table.schema.types == TABLES[name].types
    assert list(pd.read_parquet(tmp_path / "empty.parquet").columns) == TABLES[name].names


@pytest.mark.parametrize("content", [b"", b"no parquet at all", b"PAR1" * 10])
def test_a_damaged_table_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "evals.parquet").write_bytes(content)
    with pytest.raises(ResultError, match=r"evals\.parquet: not a readable Parquet file"):
        read_table(tmp_path / "evals.parquet", schema.EVALS)


def test_a_truncated_table_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "rounds.parquet"
    write_table(path, schema.ROUNDS, [ROUND] * 100, {})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ResultError, match=r"rounds\.parquet: not a readable"):
        read_table(path, schema.ROUNDS)


def test_a_missing_table_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"nowhere\.parquet: cannot be read: No such file"):
        read_table(tmp_path / "nowhere.parquet", schema.EVALS)


@pytest.mark.parametrize("metadata", [None, {}, {"fdabench_schema": "0"}, {"fdabench_schema": b"\xff"}])
def test_a_table_of_another_version_is_refused_with_that_version(tmp_path: Path, metadata: Any) -> None:
    table = pa.Table.from_pylist([ROUND]).replace_schema_metadata(metadata)
    pq.write_table(table, tmp_path / "rounds.parquet")
    with pytest.raises(
        ResultError, match=r"rounds\.parquet: results of schema version .*; this fdabench reads version 2"
    ):
        read_table(tmp_path / "rounds.parquet", schema.ROUNDS)


def test_a_table_without_a_column_is_refused_with_the_name_of_the_column(tmp_path: Path) -> None:
    path = tmp_path / "rounds.parquet"
    write_table(path, schema.ROUNDS.remove(schema.ROUNDS.get_field_index("theta")), [ROUND], {})
    with pytest.raises(ResultError, match=r"rounds\.parquet: column 'theta' is missing"):
        read_table(path, schema.ROUNDS)


@pytest.mark.parametrize("name", ["lr", "residual"])
def test_a_column_that_earlier_files_of_rounds_lack_is_null(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rounds.parquet"
    write_table(path, schema.ROUNDS.remove(schema.ROUNDS.get_field_index(name)), [ROUND], {})
    assert read_table(path, schema.ROUNDS)[name].to_pylist() == [None]


def test_columns_that_later_versions_add_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rounds.parquet"
    write_table(path, schema.ROUNDS.append(pa.field("new", pa.int64())), [ROUND | {"new": 1}], {})
    assert read_table(path, schema.ROUNDS).column_names == schema.ROUNDS.names


@pytest.mark.parametrize(
    ("content", "fault"),
    [("", "not JSON"), ("{", "not JSON"), ("[1]", "expected a JSON object, found list"), ("3", "found int")],
)
def test_a_record_that_is_not_an_object_is_refused_with_its_path(tmp_path: Path, content: str, fault: str) -> None:
    (tmp_path / "cell.json").write_text(content)
    with pytest.raises(ResultError, match=rf"cell\.json: .*{fault}"):
        read_json(tmp_path / "cell.json")


def test_a_written_record_is_read_unchanged(tmp_path: Path) -> None:
    write_json(tmp_path / "cell.json", {"label": "LinearFDA θ=1", "seeds": {"weights": 2**62 + 1}})
    assert read_json(tmp_path / "cell.json") == {"label": "LinearFDA θ=1", "seeds": {"weights": 2**62 + 1}}
    assert "θ" in (tmp_path / "cell.json").read_text(encoding="utf-8")


LOCK = make_lock([{"id": "a", "label": "A", "reference": True, "config": ONE_CELL}])


def test_a_written_lock_is_read_unchanged_and_written_again_only_after_a_change(tmp_path: Path) -> None:
    store = ResultsFolder(tmp_path)
    store.write_lock(LOCK)
    before = store.lock_path.stat().st_ino
    store.write_lock(LOCK)
    assert store.lock_path.stat().st_ino == before
    assert store.read_lock() == LOCK
    store.write_lock(LOCK.with_changes({"description": "new"}))
    assert store.read_lock().description == "new"


def test_a_folder_of_another_suite_is_refused_and_not_changed(tmp_path: Path) -> None:
    ResultsFolder(tmp_path).write_lock(LOCK)
    before = ResultsFolder(tmp_path).lock_path.read_bytes()
    with pytest.raises(ResultError, match="holds results of the suite 's', not 'other'"):
        ResultsFolder(tmp_path).write_lock(LOCK.with_changes({"suite": "other"}))
    assert ResultsFolder(tmp_path).lock_path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "no results here: there is no suite.lock.toml"),
        (b"a = ", "not TOML"),
        (b"\xff", "not TOML"),
        (b"a = 1", "its first line, the schema, is missing; `run` writes a new one"),
        (b'schema = "1"', "schema version 1; this fdabench reads version 2"),
    ],
)
def test_a_folder_without_a_lock_of_fdabench_is_refused(tmp_path: Path, content: bytes | None, fault: str) -> None:
    if content is not None:
        (tmp_path / "suite.lock.toml").write_bytes(content)
    with pytest.raises(ResultError, match=fault):
        ResultsFolder(tmp_path).read_lock()


def test_a_cell_that_never_started_has_no_record(tmp_path: Path) -> None:
    store = ResultsFolder(tmp_path)
    assert store.read_record("a") is None
    store.write_record(make_record("a"))
    assert store.read_record("a") == make_record("a")
    assert json.loads((tmp_path / "cells" / "a" / "cell.json").read_text())["state"] == "done"


def test_the_tables_of_a_cell_contain_its_configuration(tmp_path: Path) -> None:
    ResultsFolder(tmp_path).write_tables("abc", {"rounds": [ROUND]}, '{"seed":0}')
    path = tmp_path / "cells" / "abc" / "rounds.parquet"
    metadata = pq.read_schema(path).metadata
    assert (metadata[b"cell_id"], metadata[b"cell"], metadata[b"accounting"]) == (b"abc", b'{"seed":0}', b"paper")
    assert pd.read_parquet(path).to_dict("records") == [ROUND]
