"""Which cells a run trains and for how long: shards, failures, time limits; and several runs on one folder."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fdabench.cli.option_values import parse_duration, parse_shard
from fdabench.errors import UsageError
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import TABLES, ResultsFolder
from support.digits_results import make_record
from support.launch import wait_until

InProcess = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]
QUICK = ("--jobs", "1", "--device", "cpu", "--set", "budget.steps=4", "--set", "eval.every_steps=2")
ONE_FAILS = ("--set", 'strategy.0={kind = "fails"}')


def records(results: Path) -> list[CellRecord]:
    """The records of the suite's cells in their order; cells that were never started are pending."""
    store = ResultsFolder(results)
    ids = [cell.id for cell in store.read_lock().cell]
    return [store.read_record(cell_id) or make_record(cell_id, "pending", attempts=0) for cell_id in ids]


def standing(results: Path) -> list[tuple[str, int]]:
    return [(record.state, record.attempts) for record in records(results)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5s", 1.5), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("1d1h1m1s", 90061)],
)
def test_durations_are_parsed_with_their_units(text: str, seconds: float) -> None:
    assert parse_duration("--max-time", text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "1y", "30m1h", "1 h", "h", "1:30"])
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a duration such as 90s, 30m, 1h30m or 2d"):
        parse_duration("--max-time", text)


def test_shards_are_disjoint_and_contain_all_cells(finished: Any) -> None:
    cells: Any = list(range(11))
    for count in (1, 3, 11, 15):
        parts = [parse_shard(cells, f"{index}/{count}") for index in range(1, count + 1)]
        assert sorted(chain.from_iterable(parts)) == cells
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/4/2"])
def test_an_invalid_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--shard .*: expected I/N with I from 1 to N"):
        parse_shard([], text)


def test_only_the_cells_of_a_shard_are_run(here: InProcess) -> None:
    assert here("run", "tiny.toml", "-o", "out", "--shard", "2/2", *QUICK).exit_code == 0
    assert standing(Path("out")) == [("pending", 0), ("done", 1)]


@pytest.mark.slow
def test_fail_fast_skips_the_remaining_cells_and_retry_failed_runs_failures_again(
    failing: InProcess,
) -> None:
    arguments = ("run", "tiny.toml", "-o", "out", *QUICK, *ONE_FAILS)
    result = failing(*arguments, "--fail-fast")
    assert result.exit_code == 3, result.output
    assert standing(Path("out")) == [("failed", 1), ("pending", 0)]
    result = failing(*arguments)
    assert result.exit_code == 3, "the cell that failed before has no result"
    assert "0 done | 1 failed (--retry-failed runs them again) | 1 to run" in result.stderr
    assert standing(Path("out")) == [("failed", 1), ("done", 1)]
    assert failing(*arguments, "--retry-failed").exit_code == 3
    assert standing(Path("out")) == [("failed", 2), ("done", 1)]


@pytest.mark.slow
def test_a_lost_cell_is_run_again_by_default(here: InProcess) -> None:
    assert here("run", "tiny.toml", "-o", "out", *QUICK).exit_code == 0
    lost = records(Path("out"))[0]
    ResultsFolder(Path("out")).write_record(lost.with_changes({"state": "lost"}))
    assert here("run", "tiny.toml", "-o", "out", *QUICK).exit_code == 0
    assert standing(Path("out")) == [("done", 2), ("done", 1)]


def test_a_max_time_of_almost_zero_runs_no_cell_and_a_later_call_runs_all(here: InProcess) -> None:
    result = here("run", "tiny.toml", "-o", "out", "--max-time", "0.001s", *QUICK)
    assert result.exit_code == 75, result.output
    assert "fdabench: stopped by --max-time; to continue: fdabench" in result.stderr
    assert standing(Path("out")) == [("pending", 0)] * 2
    assert here("run", "tiny.toml", "-o", "out", "--max-time", "1h", *QUICK).exit_code == 0


@pytest.mark.slow
def test_a_running_cell_is_checkpointed_when_the_time_is_up(here: InProcess) -> None:
    result = here("run", "tiny.toml", "-j", "1", "--device", "cpu", "--set", "budget.steps=100000", "--max-time", "25s")
    assert result.exit_code == 75, result.output
    (under_way, _) = records(Path("results/tiny"))
    assert under_way.state == "interrupted"
    assert under_way.steps > 0
    assert ResultsFolder(Path("results/tiny")).checkpoint_path(under_way.id).exists()


@pytest.mark.parametrize("option", [("--max-time", "soon"), ("--checkpoint-every", "0"), ("--shard", "3/2")])
def test_an_invalid_value_is_refused_with_exit_2(here: InProcess, option: tuple[str, str]) -> None:
    result = here("run", "tiny.toml", *option)
    assert result.exit_code == 2
    assert " ".join(option) in result.stderr
    assert os.listdir(".") == ["tiny.toml"]


@pytest.mark.slow
def test_two_runs_on_one_folder_train_each_cell_once(start: Start, finished: Any) -> None:
    """The first is halted in a cell until the second has one; each ends with all cells, with the numbers of one run."""
    tiny, arguments = Path("results/tiny"), ("run", "tiny.toml", "--jobs", "1", "--seeds", "0..2")
    first = start(*arguments)
    # a cell takes a tenth of a second
    wait_until(lambda: len(_processes(tiny)) == 1, 200, interval_s=0.005)
    os.killpg(first.pid, signal.SIGSTOP)
    second = start(*arguments)
    wait_until(lambda: len(_processes(tiny)) == 2, 200)
    os.killpg(first.pid, signal.SIGCONT)
    output = [program.communicate(timeout=400) for program in (first, second)]
    assert [program.returncode for program in (first, second)] == [0, 0], output
    assert output[0][0] == output[1][0]
    assert "another run has locked this cell" in output[1][1]
    assert standing(tiny) == [("done", 1)] * 6
    for path in finished.results.glob("cells/*"):
        for name in TABLES:
            one, other = (
                ResultsFolder(root).read_cell_table(path.name, name).to_pandas().drop(columns="wall_s", errors="ignore")
                for root in (finished.results, tiny)
            )
            pd.testing.assert_frame_equal(one, other, check_exact=True)


def _processes(results: Path) -> set[int]:
    """The processes that the records of the cells name."""
    return {json.loads(path.read_bytes())["process"]["pid"] for path in results.glob("cells/*/cell.json")}


@pytest.mark.slow
def test_a_run_resumes_the_cell_of_a_killed_run(start: Start) -> None:
    """The second waits while the first runs the cell; its processes, halted, hold the cell until they are gone."""
    long = ("--jobs", "1", "-k", "fda", "--set", "budget.steps=800", "--checkpoint-every", "0.1s")
    first = start("run", "tiny.toml", *long)
    pid = _process_at_a_cell(Path("results/tiny"), first)
    os.kill(pid, signal.SIGSTOP)
    second = start("run", "tiny.toml", *long)
    assert second.stderr is not None
    assert next(line for line in second.stderr if "another run has locked this cell" in line)
    os.kill(first.pid, signal.SIGKILL)
    assert second.poll() is None
    os.kill(pid, signal.SIGKILL)
    _, err = second.communicate(timeout=400)
    assert second.returncode == 0, err
    done = [record for record in records(Path("results/tiny")) if record.state == "done"]
    assert [(record.attempts, record.resumed_at_step > 0) for record in done] == [(2, True)]


def _process_at_a_cell(results: Path, program: subprocess.Popen[str]) -> int:
    while program.poll() is None:
        for path in results.glob("cells/*/checkpoint.pt"):
            return int(json.loads((path.parent / "cell.json").read_bytes())["process"]["pid"])
    raise AssertionError(program.communicate())
