"""Each file of a results folder, damaged in every way: the cell runs again or one message names the file."""

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from fdabench.errors import ResultError
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.load import load
from support.suites import read_files

Say = Callable[..., Any]
RESULTS = Path("results/hurt")
DONE_TABLES = [f"cells/DONE/{name}.parquet" for name in TABLES]
READ_BY_ALL = ["suite.lock.toml", "cells/DONE/cell.json", "cells/UNDER_WAY/cell.json", *DONE_TABLES]
"""By `report`, that is, which derives all numbers anew."""
OTHERS = [
    "cells/UNDER_WAY/checkpoint.pt",
    ".leases/UNDER_WAY.json",
    ".leases/UNDER_WAY.lock",
    "runs.parquet",
    "targets.parquet",
]


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "emptied": lambda whole: b"",
    "first byte": lambda whole: whole[:1],
    "first half": lambda whole: whole[: len(whole) // 2],
    "all but eight": lambda whole: whole[:-8],
    "random": lambda whole: random.Random(0).randbytes(len(whole) + 64),
    "folder": lambda whole: None,
}
INTACT = {"intact": lambda whole: whole}
Hurt = Callable[[str, str], Path]


@pytest.fixture
def hurt(stopped: Any, stopped_copy: Path) -> Hurt:
    """Damage a file in the copy of the results in the current folder, and return its path."""

    def damaged(file: str, damage: str) -> Path:
        path = RESULTS / file.replace("DONE", stopped.done).replace("UNDER_WAY", stopped.under_way)
        content = (DAMAGES | INTACT)[damage](path.read_bytes())
        path.unlink(missing_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        # whoever is named as the holder has been silent for long
        os.utime(path, (time.time() - 3600, time.time() - 3600))
        return path

    return damaged


def assert_told(result: Any, path: Path) -> None:
    """One message names the file, or reading succeeded; `check` fails for incomplete results."""
    assert result.exit_code in (0, 2, 4), result.output
    assert "Traceback" not in result.output
    messages = [line for line in result.stderr.splitlines() if line.startswith("fdabench: ")]
    assert len(messages) <= 1
    assert messages or result.exit_code != 2
    if messages and "nothing to compare" not in messages[0]:
        assert path.as_posix() in messages[0]
        assert len(messages[0]) < 600


@pytest.mark.parametrize(
    ("file", "damage"), [*product(READ_BY_ALL, DAMAGES), *product(OTHERS, ["first half", "folder"])]
)
def test_every_reader_of_a_damaged_folder_names_the_damaged_file(
    stopped: Any, hurt: Hurt, say: Say, file: str, damage: str
) -> None:
    path = hurt(file, damage)
    before, whole = read_files(RESULTS), stopped.folder / RESULTS
    for command in (
        ["status", RESULTS],
        ["show", RESULTS, stopped.done],
        ["show", RESULTS, stopped.under_way],
        ["compare", RESULTS, whole],
        ["compare", whole, RESULTS],
        ["check", RESULTS],
        ["check", whole, "--against", RESULTS],
    ):
        assert_told(say(*command), path)
    assert read_files(RESULTS) == before


@pytest.mark.parametrize(("file", "damage"), [*product(READ_BY_ALL, ["emptied", "first half", "random", "folder"])])
def test_a_merge_with_a_damaged_folder_writes_nothing(
    stopped: Any, hurt: Hurt, say: Say, file: str, damage: str
) -> None:
    path = hurt(file, damage)
    before, whole = read_files(RESULTS), stopped.folder / RESULTS
    for folders in ((RESULTS, whole), (whole, RESULTS)):
        result = say("merge", *folders, "-o", "joined")
        assert result.exit_code == 2, result.output
        assert_told(result, path)
    assert read_files(RESULTS) == before
    assert not Path("joined").exists()


def test_a_lock_that_is_truncated_after_any_line_is_refused(stopped: Any, hurt: Hurt) -> None:
    path = hurt("suite.lock.toml", "intact")
    lines = path.read_bytes().splitlines(keepends=True)
    for stored in range(len(lines)):
        path.write_bytes(b"".join(lines[:stored]))
        with pytest.raises(ResultError, match=r"suite\.lock\.toml: "):
            ResultsFolder(RESULTS).read_lock()


@pytest.mark.parametrize("file", READ_BY_ALL)
@pytest.mark.parametrize("damage", ["emptied", "first half", "folder"])
def test_a_report_of_a_damaged_folder_writes_nothing(hurt: Hurt, say: Say, file: str, damage: str) -> None:
    path = hurt(file, damage)
    before = read_files(RESULTS)
    result = say("report", RESULTS)
    assert result.exit_code == 2
    assert_told(result, path)
    assert read_files(RESULTS) == before
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("file", "damage"),
    [*((file, "all but eight") for file in DONE_TABLES), *((DONE_TABLES[0], damage) for damage in DAMAGES)],
)
def test_a_cell_with_a_missing_table_is_planned_again(
    stopped: Any, hurt: Hurt, say: Say, file: str, damage: str
) -> None:
    path = hurt(file, damage)
    result = say("plan", "hurt.toml", "-k", stopped.done)
    assert result.exit_code == 0, result.output
    assert f"{path.name} damaged" in result.stdout
    assert f"1 stale: {path.name} damaged" in result.stdout


@pytest.mark.parametrize("key", ["attempts", "code", "environment", "steps", "together", "wall_s", "state", "config"])
@pytest.mark.parametrize("wrong", [None, "x", -1, [], {}])
def test_a_plan_with_a_foreign_record_is_made_or_refused(
    stopped: Any, hurt: Hurt, say: Say, key: str, wrong: object
) -> None:
    path = hurt("cells/DONE/cell.json", "intact")
    record = json.loads(path.read_bytes())
    del record[key]
    path.write_text(json.dumps(record if wrong is None else {**record, key: wrong}))
    for command in (["plan", "hurt.toml", "-k", stopped.done], ["status", RESULTS], ["show", RESULTS, stopped.done]):
        result = say(*command)
        assert result.exit_code in (0, 2), result.output


def run(say: Say) -> Any:
    return say("run", "hurt.toml", "--jobs", "1", "--device", "cpu")


def test_a_cell_with_a_missing_table_is_run_again_and_no_other(stopped: Any, hurt: Hurt, say: Say) -> None:
    path = hurt("cells/DONE/rounds.parquet", "first half")
    path.with_name("trace.parquet").unlink()
    other, before = f"cells/{stopped.other}/", read_files(RESULTS)
    result = run(say)
    assert result.exit_code == 0, result.output
    assert "1 done | 1 stale: rounds.parquet damaged | 1 to run" in result.stderr
    after = read_files(RESULTS)
    assert {name for name in before if name.startswith(other) and after[name] != before[name]} == set()
    actual = load(RESULTS)
    assert set(actual.runs["state"]) == {"done"}
    assert {cell_id: record.attempts for cell_id, record in actual.records.items()} == {
        stopped.done: 2,
        stopped.other: 1,
        stopped.under_way: 2,
    }


def test_a_run_on_a_folder_with_a_damaged_lock_or_record_states_the_remedy(stopped: Any, hurt: Hurt, say: Say) -> None:
    lock = hurt("suite.lock.toml", "first half")
    before = read_files(RESULTS)
    result = run(say)
    assert result.exit_code == 2
    # where the half ends at the end of a line it is TOML
    assert (
        f"{lock}: not TOML" in result.stderr or f"{lock}: its end, which counts its cells, is missing" in result.stderr
    )
    assert result.stderr.endswith("`run` writes a new one if it is deleted\n")
    shutil.copy(stopped.folder / lock, lock)
    record = hurt("cells/DONE/cell.json", "emptied")
    result = run(say)
    assert result.exit_code == 2
    assert f"{record}: not JSON" in result.stderr
    assert result.stderr.endswith(f"; without {stopped.done}, its folder, `run` does the cell again\n")
    mended = {"suite.lock.toml": (stopped.folder / lock).read_bytes(), f"cells/{stopped.done}/cell.json": b""}
    assert read_files(RESULTS) == before | mended


@pytest.mark.parametrize(
    ("file", "damage", "exit_code"),
    [
        pytest.param("cells/UNDER_WAY/checkpoint.pt", "folder", 0, marks=pytest.mark.slow),
        pytest.param("cells/UNDER_WAY/checkpoint.pt", "first half", 0, marks=pytest.mark.slow),
        pytest.param("cells/UNDER_WAY/checkpoint.pt", "random", 0, marks=pytest.mark.slow),
        pytest.param("cells/UNDER_WAY/checkpoint.pt", "emptied", 0, marks=pytest.mark.slow),
        pytest.param("cells/DONE/evals.parquet", "folder", 2, marks=pytest.mark.slow),
        pytest.param(".leases/UNDER_WAY.json", "random", 0, marks=pytest.mark.slow),
        pytest.param(".leases/UNDER_WAY.json", "folder", 2, marks=pytest.mark.slow),
        pytest.param(".leases/UNDER_WAY.lock", "random", 0, marks=pytest.mark.slow),
        pytest.param(".leases/UNDER_WAY.lock", "folder", 2, marks=pytest.mark.slow),
        pytest.param("runs.parquet", "random", 0, marks=pytest.mark.slow),
        pytest.param("targets.parquet", "folder", 2, marks=pytest.mark.slow),
    ],
)
def test_a_run_on_a_damaged_folder_succeeds_or_names_the_damaged_file(
    stopped: Any, hurt: Hurt, say: Say, file: str, damage: str, exit_code: int
) -> None:
    path = hurt(file, damage)
    before = read_files(RESULTS / "cells" / stopped.other)
    result = run(say)
    assert result.exit_code == exit_code, result.output
    assert_told(result, path)
    assert read_files(RESULTS / "cells" / stopped.other) == before
    if exit_code == 0:
        record = ResultsFolder(RESULTS).read_record(stopped.under_way)
        assert record is not None
        assert record.state == "done"
