"""`fdabench run` as a program: exit codes, files, and resuming after a stop."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from fdabench.cli.stop import SAME_REQUEST_S
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]
CELL_FILES = {"cell.json", *(f"{name}.parquet" for name in TABLES)}


def without_clocks(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    return frame.drop(columns=[column for column in CLOCK_COLUMNS if column in frame])


def assert_same_cells(left: Path, right: Path, cell_ids: list[str]) -> None:
    """Every table of these cells is equal to the last bit, except clock columns."""
    for cell_id in cell_ids:
        for name in TABLES:
            file = f"cells/{cell_id}/{name}.parquet"
            pd.testing.assert_frame_equal(
                without_clocks(left / file), without_clocks(right / file), check_exact=True, obj=file
            )
            assert pq.read_schema(left / file).metadata == pq.read_schema(right / file).metadata


def cell_ids(results: Path) -> list[str]:
    return [cell.id for cell in ResultsFolder(results).read_lock().cell]


def states(results: Path) -> list[str]:
    records = [ResultsFolder(results).read_record(cell_id) for cell_id in cell_ids(results)]
    return ["pending" if record is None else record.state for record in records]


def test_a_run_exits_with_0_and_writes_the_documented_files(finished: Any) -> None:
    assert finished.output.returncode == 0, finished.output.stderr
    names = {path.name for path in finished.results.iterdir()}
    assert names == {"suite.lock.toml", "cells", "runs.parquet", "targets.parquet", "run.log", ".leases"}
    folders = sorted((finished.results / "cells").iterdir())
    assert [folder.name for folder in folders] == sorted(cell_ids(finished.results))
    assert all({path.name for path in folder.iterdir()} == CELL_FILES for folder in folders)
    assert [path.name for path in finished.folder.iterdir() if path.name != "results"] == ["tiny.toml"]


def test_progress_goes_to_stderr_and_the_summary_to_stdout(finished: Any) -> None:
    first, second, *lines = finished.output.stderr.splitlines()
    assert first == "tiny: 2 cells = 2 strategies x 1 workload x 1 seed  ->  results/tiny"
    assert second == " 0 done | 2 to run"
    assert [line[:10] for line in lines] == ["[1/2] done", "[2/2] done"]
    assert finished.output.stdout.startswith("30 %: ")
    assert "LinearFDA" in finished.output.stdout


def test_nothing_in_a_pipe_has_escape_codes(finished: Any) -> None:
    assert "\x1b" not in finished.output.stdout + finished.output.stderr
    assert "\r" not in finished.output.stdout + finished.output.stderr


def test_every_table_and_its_configuration_is_read_with_pandas_only(finished: Any) -> None:
    for cell_id in cell_ids(finished.results):
        folder = finished.results / "cells" / cell_id
        record = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
        for name, schema in TABLES.items():
            assert list(pd.read_parquet(folder / f"{name}.parquet").columns) == schema.names
            stored = json.loads(pq.read_schema(folder / f"{name}.parquet").metadata[b"cell"])
            assert stored == record["config"]
        assert list(pd.read_parquet(folder / "evals.parquet")["step"]) == [10, 20, 30]
    runs, hits = (pd.read_parquet(finished.results / f"{name}.parquet") for name in ("runs", "targets"))
    assert set(runs["label"]) == {"Synchronous", "LinearFDA"}
    assert set(runs["cell_id"]) == set(cell_ids(finished.results))
    assert list(hits.groupby("cell_id")["target"].apply(list)) == [[0.3, 0.99]] * 2


def test_a_second_run_runs_nothing_and_touches_no_cell(finished: Any, fdabench_in: Fdabench) -> None:
    before = finished.files()
    result = fdabench_in("run", "tiny.toml", "-o", str(finished.results))
    assert result.returncode == 0
    assert result.stdout == finished.output.stdout
    assert " 2 done | 0 to run" in result.stderr
    assert "[1/" not in result.stderr
    after = finished.files()
    assert {name: after[name] for name in before if "runs" not in name} == {
        name: before[name] for name in before if "runs" not in name
    }


def test_a_selected_cell_run_again_by_one_job_has_the_same_numbers(finished: Any, here: InProcess) -> None:
    shutil.copytree(finished.results, "again")
    synchronous, fda = cell_ids(finished.results)
    result = here("run", "tiny.toml", "--fresh", "--jobs", 1, "-k", "fda", "-o", "again", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert " 1 done, run again because of --fresh | 0 to run" in result.stderr
    assert "[1/1] done" in result.stderr
    assert_same_cells(Path("again"), finished.results, [synchronous, fda])
    attempts = {path.parent.name: json.loads(path.read_text())["attempts"] for path in Path("again").rglob("cell.json")}
    assert attempts == {synchronous: 1, fda: 2}


@pytest.mark.slow
def test_cells_batched_in_one_matrix_have_the_same_numbers(finished: Any, here: InProcess) -> None:
    """One process, both cells at once, by the engine that an accelerator would have: syncs and bytes are equal."""
    arguments = ("run", "tiny.toml", "--jobs", 1, "--cells-per-batch", 2, "--device", "cpu", "-q")
    assert here(*arguments, "-o", "side").exit_code == 0
    assert_same_cells(Path("side"), finished.results, cell_ids(finished.results))
    assert here(*arguments, "-o", "vectorized", "--engine", "vectorized", "--threads", 0).exit_code == 0
    for cell in cell_ids(finished.results):
        record = ResultsFolder(Path("vectorized")).read_record(cell)
        assert record is not None
        assert (record.engine, record.together) == ("vectorized", 2)
        one, other = (
            ResultsFolder(root).read_cell_table(cell, "ledger") for root in (Path("vectorized"), finished.results)
        )
        assert one.equals(other)


def test_every_evaluation_is_printed_on_request(here: InProcess) -> None:
    quick = ("--jobs", 1, "--device", "cpu", "--set", "budget.steps=4", "--set", "eval.every_steps=2")
    result = here("run", "tiny.toml", "-v", *quick)
    assert result.exit_code == 0, result.output
    message = re.findall(r"^ +(Synchronous|LinearFDA) .*  ([\d,]+)/4 steps  [\d.]+ %  ", result.stderr, re.MULTILINE)
    assert sorted(message) == [(label, step) for label in ("LinearFDA", "Synchronous") for step in "24"]
    assert len(re.findall(r"^\[[12]/2\] done", result.stderr, re.MULTILINE)) == 2


def test_a_failed_cell_gives_exit_3_and_the_others_are_saved(failing: InProcess) -> None:
    """Also seeds and overrides, which are recorded."""
    fails = 'strategy.1={kind = "fails"}'
    changes = ["--seeds", "3..3", "--set", fails, "--set", "budget.steps=4", "--set", "eval.every_steps=2"]
    result = failing("run", "tiny.toml", "--jobs", 1, "-o", "out", "--device", "cpu", "-q", *changes)
    assert result.exit_code == 3, result.output
    lock = ResultsFolder(Path("out")).read_lock()
    assert lock.overrides == [fails, "budget.steps=4", "eval.every_steps=2", "seeds=[3]"]
    runs = pd.read_parquet("out/runs.parquet").set_index("label")
    assert runs.loc["Synchronous", ["state", "seed", "steps"]].tolist() == ["done", 3, 4]
    assert runs.loc["fails", "state"] == "failed"
    failed = runs.loc["fails", "cell_id"]
    assert f"traceback: fdabench show out {failed}\n" in result.stderr, "failures are told even when quiet"
    shown = failing("show", "out", failed)
    assert shown.exit_code == 0
    assert "Traceback (most recent call last)" in shown.stdout
    rows = json.loads(failing("plan", "tiny.toml", "-o", "out", "--output-format", "json", *changes).stdout)
    assert [row["status"] for row in rows] == ["done", "failed"]


SLOW_SUITE = ("--set", "budget.steps=800", "--set", "eval.every_steps=400")


def said_so_far(program: subprocess.Popen[str], until: str) -> str:
    """The text on stderr up to a line with these words."""
    assert program.stderr is not None
    received = ""
    for line in program.stderr:
        received += line
        if until in line:
            return received
    raise AssertionError(f"ended without {until!r}:\n{received}")


@pytest.mark.parametrize(
    ("number", "exit_code", "word"),
    [(signal.SIGINT, 130, "interrupted"), pytest.param(signal.SIGTERM, 143, "terminated", marks=pytest.mark.slow)],
)
def test_a_stopped_run_keeps_finished_cells_and_resumes(
    start: Callable[..., subprocess.Popen[str]],
    here: InProcess,
    number: signal.Signals,
    exit_code: int,
    word: str,
) -> None:
    """The first cell is done when the signals arrive, and the second is running.

    They are those of GNU `timeout`: one to the program, and one to every process of its group.
    """
    program = start("run", "tiny.toml", "--jobs", "1", *SLOW_SUITE)
    said_so_far(program, "[1/2] done")
    under_way(Path("results/tiny"))
    os.kill(program.pid, number)
    time.sleep(0.1)
    os.killpg(program.pid, number)
    out, err = program.communicate(timeout=120)
    assert program.returncode == exit_code, err
    *said_while_stopping, last = err.splitlines()
    # a process that the signal reached by itself may be the first to say so
    interrupted, stopping = sorted(said_while_stopping)
    assert stopping == "stopping: running cells stop at their next step; a second Ctrl-C stops at once"
    assert interrupted.startswith("[2/2] interrupted  LinearFDA")
    again = "fdabench run tiny.toml --jobs 1 --set budget.steps=800 --set eval.every_steps=400"
    assert last == f"fdabench: {word}; to continue: {again}"
    assert " needed " in out.splitlines()[0]
    results = Path("results/tiny")
    assert sorted(states(results)) == ["done", "interrupted"]
    stored = {path: path.read_bytes() for path in results.glob("cells/*/evals.parquet")}
    assert len(stored) == 1
    result = here(*shlex.split(again)[1:], "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert " 1 done | 1 to run" in result.stderr
    assert states(results) == ["done", "done"]
    assert all(path.read_bytes() == content for path, content in stored.items())
    fda = cell_ids(results)[1]
    record = ResultsFolder(results).read_record(fda)
    assert record is not None
    assert 0 < record.resumed_at_step < 800
    assert here(*shlex.split(again)[1:], "-k", "fda", "-o", "whole", "--device", "cpu").exit_code == 0
    assert_same_cells(results, Path("whole"), [fda])


def under_way(results: Path) -> dict[str, Any]:
    """The record of a running cell, as soon as there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        actual = [json.loads(path.read_bytes()) for path in results.glob("cells/*/cell.json")]
        if under_way := [record for record in actual if record["state"] == "interrupted"]:
            time.sleep(0.3)
            return dict(under_way[0])
        time.sleep(0.02)
    raise AssertionError(f"no cell under way in {results}")


@pytest.mark.slow
def test_a_second_signal_stops_immediately(start: Callable[..., subprocess.Popen[str]]) -> None:
    """Also where a cell does not come to the end of its step: its process is halted."""
    program = start("run", "tiny.toml", "--jobs", "1", *SLOW_SUITE)
    said_so_far(program, " 0 done")
    record = under_way(Path("results/tiny"))
    os.kill(record["process"]["pid"], signal.SIGSTOP)
    os.kill(program.pid, signal.SIGINT)
    said_so_far(program, "a second Ctrl-C stops at once")
    time.sleep(2 * SAME_REQUEST_S)
    assert program.poll() is None
    os.kill(program.pid, signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert (program.returncode, out) == (130, "")
    assert err.startswith("fdabench: interrupted; to continue: fdabench run tiny.toml")
    with pytest.raises(ProcessLookupError):
        os.kill(record["process"]["pid"], 0)


@pytest.mark.slow
def test_a_cell_of_a_terminated_process_resumes(start: Callable[..., subprocess.Popen[str]]) -> None:
    program = start("run", "tiny.toml", "--jobs", "1", *SLOW_SUITE)
    record = under_way(Path("results/tiny"))
    os.kill(record["process"]["pid"], signal.SIGTERM)
    _, err = program.communicate(timeout=300)
    assert program.returncode == 0, err
    after = ResultsFolder(Path("results/tiny")).read_record(record["id"])
    assert after is not None
    assert (after.state, after.attempts) == ("done", 2)
    assert after.resumed_at_step > 0
    assert after.to_dict()["process"]["pid"] != record["process"]["pid"]


@pytest.mark.slow
def test_a_stopped_fresh_run_resumes_without_repeating_finished_cells(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    program = start("run", "tiny.toml", "--jobs", "1", "--fresh", *SLOW_SUITE)
    under_way(Path("results/tiny"))
    os.kill(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=120)
    assert program.returncode == 130
    assert err.splitlines()[-1].endswith("fdabench run tiny.toml --jobs 1 " + " ".join(SLOW_SUITE))


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.05, 1.0, 3.0])
def test_a_run_that_is_stopped_while_it_starts_reports_that(
    start: Callable[..., subprocess.Popen[str]], delay: float
) -> None:
    """Also before its processes have imported anything. The cells are too long to end before the signal."""
    program = start("run", "tiny.toml", "--jobs", "2", "--set", "budget.steps=99999")
    said_so_far(program, " 0 done")
    time.sleep(delay)
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=120)
    assert program.returncode == 130, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("fdabench: interrupted; to continue: fdabench run tiny.toml")
