"""`fdabench show`, `status` and the last line of a cell: their numbers agree, and printed commands can be executed."""

import itertools
import json
import os
import platform
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fdabench.cli.display.cell_page import TIMELINE_WIDTH, axis, evenly_spaced
from fdabench.formatting import format_bytes, format_count
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import load
from fdabench.results.suite_lock import LockedCell

InProcess = Callable[..., Any]


def cells(results: Path) -> list[LockedCell]:
    return list(ResultsFolder(results).read_lock().cell)


def copied(finished: Any, name: str) -> Path:
    shutil.copytree(finished.results, name)
    return Path(name)


def under_way(finished: Any, **process: Any) -> tuple[ResultsFolder, str]:
    """Results whose second cell is running, by default in this process."""
    store = ResultsFolder(copied(finished, "copy"))
    cell_id = cells(store.root)[1].id
    record = store.read_record(cell_id)
    assert record is not None
    at = {"host": platform.node(), "pid": os.getpid()} | process
    stored = {key: value for key, value in record.to_dict().items() if key not in ("ended", "wall_s", "steps")}
    now = {"state": "interrupted", "process": at, "started": "2026-01-01T00:00:00+00:00"}
    store.write_record(CellRecord.from_table({**stored, **now}))
    return store, cell_id


def test_the_line_that_ends_a_cell_has_the_totals_of_the_report(finished: Any) -> None:
    for _, run in load(finished.results).runs.iterrows():
        (line,) = [line for line in finished.output.stderr.splitlines() if f"done  {run['label']} |" in line]
        assert f"  {format_bytes(run['bytes_total'])}  {format_count(run['syncs'])} syncs  " in line
    # 30 syncs and the start; the last evaluation is before the last sync and has one sync less
    assert "  25.5 MB  30 syncs  " in finished.output.stderr


def test_show_of_results_prints_what_the_run_printed(here: InProcess, finished: Any) -> None:
    shutil.copytree(finished.results, "alone")
    result = here("show", "alone")
    assert (result.exit_code, result.stdout) == (0, finished.output.stdout)
    (hint,) = re.findall(r"^to show one cell: fdabench (show alone .*)$", result.stderr, re.MULTILINE)
    pasted = here(*shlex.split(hint))
    assert pasted.exit_code == 0
    assert pasted.stdout.startswith("Synchronous | digits mlp | dirichlet(1) | K=2 b=32 s0\n")


def test_show_of_several_results_prints_each(here: InProcess, finished: Any) -> None:
    for name in ("one", "two"):
        copied(finished, name)
    result = here("show", "one", "two")
    assert result.stdout == f"{finished.output.stdout}\n{finished.output.stdout}"
    rows = json.loads(here("show", "one", "two", "--output-format", "json").stdout)
    assert [row["suite"] for row in rows] == ["tiny", "tiny", "tiny #2", "tiny #2"]
    refused = here("show", "one", "two", "LinearFDA")
    assert refused.exit_code == 2
    assert "'LinearFDA': a cell is read from one results folder, and 2 are given; give one" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [["LinearFDA"], ["linearfda", "DIRICHLET(1)", "s0"], ["linear and not synchronous"], ["fda", "dirichlet"]],
)
def test_show_finds_a_cell_by_words_of_its_title(here: InProcess, finished: Any, words: list[str]) -> None:
    result = here("show", finished.results, *words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("LinearFDA | ")


def test_the_page_of_a_cell_has_accuracies_targets_and_evaluations(here: InProcess, finished: Any) -> None:
    results, cell = load(finished.results), cells(finished.results)[1]
    run = results.runs.set_index("cell_id").loc[cell.id]
    text = here("show", finished.results, cell.id).stdout
    final, best = (f"{100 * run[key]:.2f} %" for key in ("final_accuracy", "best_accuracy"))
    assert f"accuracy: {final} at the end, {best} at best at step " in text
    assert f"total: 30 steps, {format_bytes(run['bytes_total'])} (paper), {run['syncs']} syncs, " in text
    hit = results.hits.set_index(["cell_id", "target"]).loc[(cell.id, 0.3)]
    at = [
        format_count(hit["step"]),
        format_count(hit["step_before"]),
        format_bytes(hit["bytes_total"]),
        format_count(hit["syncs"]),
    ]
    assert f"30 % {' '.join(at)}" in " ".join(text.split())
    assert re.search(r"^99 % +missed +–", text, re.MULTILINE)
    steps = re.findall(r"^(\d+) +[\d.]+ +[\d.]+ % ", text.split("evaluations (all):")[1], re.MULTILINE)
    assert steps == ["10", "20", "30"]


def test_the_page_of_a_cell_uses_the_convention_of_the_suite(here: InProcess) -> None:
    here("run", "tiny.toml", "-q", "-o", "out", "-k", "synchronous", "--set", "accounting.convention=upload")
    actual = json.loads(here("show", "out", "synchronous", "--output-format", "json").stdout)
    assert actual["bytes_total"] == actual["bytes_by_convention"]["upload"] == 30 * 2 * 51_466 * 4
    # an evaluation is before the sync of its step, and no upload is due for the start
    assert [row["bytes_total"] for row in actual["evaluations"]] == [n * 2 * 51_466 * 4 for n in (9, 19, 29)]


def test_json_has_the_evaluations_of_a_cell_as_a_table(here: InProcess, finished: Any) -> None:
    result = here("show", finished.results, "LinearFDA", "--output-format", "csv")
    header, *rows = result.stdout.splitlines()
    assert header.split(",")[:3] == ["step", "epoch", "round"]
    assert [row.split(",")[0] for row in rows] == ["10", "20", "30"]


def test_long_runs_show_the_first_the_last_and_evenly_spaced_evaluations() -> None:
    rows = [(str(i),) for i in range(100)]
    stored = [int(row[0]) for row in evenly_spaced(rows, 20)]
    assert (len(stored), stored[0], stored[-1]) == (20, 0, 99)
    assert {b - a for a, b in itertools.pairwise(stored)} <= {5, 6}
    assert evenly_spaced(rows[:20], 20) == rows[:20]


@pytest.mark.parametrize("steps", [1, 30, 600, 4000, 1_000_000, 10**9])
def test_the_last_label_of_the_timeline_ends_below_its_end(steps: int) -> None:
    line = axis(steps)
    assert line.startswith("0")
    assert line.endswith(format_count(steps))
    assert len(line) == 1 + TIMELINE_WIDTH


def test_status_shows_the_rate_and_the_remaining_time_of_a_running_cell(here: InProcess, finished: Any) -> None:
    store, cell_id = under_way(finished)
    note = {"step": 10, "budget": 30, "accuracy": 0.5, "at": "2026-01-01T00:00:20+00:00"}
    (store.root / ".leases" / f"{cell_id}.progress.json").write_text(json.dumps(note))
    text = here("status", store.root).stdout
    assert "running  LinearFDA | " in text
    assert f"10/30 steps  50.0 %  0.500 steps/s  40.0 s left  on {platform.node()}, process {os.getpid()}" in text
    rows = {row["state"]: row for row in json.loads(here("status", store.root, "--output-format", "json").stdout)}
    (detail,) = rows["running"]["details"]
    assert (detail["step"], detail["steps_per_s"], detail["left_s"]) == (10, 0.5, 40.0)


@pytest.mark.parametrize("note", ["", "[]", '{"step": "many"}', '{"step": 1, "budget": 2, "accuracy": 1, "at": "now"}'])
def test_a_damaged_progress_file_is_ignored(here: InProcess, finished: Any, note: str) -> None:
    store, cell_id = under_way(finished)
    (store.root / ".leases" / f"{cell_id}.progress.json").write_text(note)
    result = here("status", store.root)
    assert result.exit_code == 0
    assert f"s0   on {platform.node()}, process {os.getpid()}" in result.stdout


def test_a_cell_on_another_host_runs_while_its_lease_is_touched(here: InProcess, finished: Any) -> None:
    store, cell_id = under_way(finished, host="elsewhere")
    assert "interrupted  1" in here("status", store.root).stdout
    holder = store.root / ".leases" / f"{cell_id}.json"
    holder.write_text('{"host": "elsewhere", "pid": 1}')
    assert re.search(r"^running +1 ", here("status", store.root).stdout, re.MULTILINE)
    os.utime(holder, (0, 0))
    assert "interrupted  1" in here("status", store.root).stdout


def test_status_shows_why_cells_failed_and_the_command_for_details(failing: InProcess) -> None:
    failing("run", "tiny.toml", "-q", "-o", "out", "--jobs", "1", "--set", "strategy.0.kind=fails")
    text = failing("status", "out").stdout
    assert re.search(
        r"^failed  fails \| .* s0\n +fails\.py:7: RuntimeError: this one always fails$", text, re.MULTILINE
    )
    (command,) = re.findall(r"^traceback: fdabench (show out .*)$", text, re.MULTILINE)
    assert "RuntimeError: this one always fails" in failing(*shlex.split(command)).stdout


def test_a_run_removes_its_progress_files(finished: Any) -> None:
    assert list((finished.results / ".leases").glob("*.progress.json")) == []


def test_the_json_of_a_conclusion_has_no_infinite_numbers(here: InProcess, finished: Any) -> None:
    rows = json.loads(here("show", finished.results, "--output-format", "json").stdout, parse_constant=pytest.fail)
    assert {type(row["bytes"]) for row in rows} <= {float, type(None)}
    frame = pd.DataFrame(rows)
    assert list(frame["cells"]) == [1, 1]
