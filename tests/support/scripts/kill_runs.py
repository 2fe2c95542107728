"""Kill a run at random times, resume it, and compare its numbers with those of an uninterrupted run.

    PYTHONPATH=tests python -m support.scripts.kill_runs --kills 20

Each run is killed (SIGKILL) once or twice: a process that runs cells, the process that assigns them, or all.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pandas as pd

import fdabench
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from support.suites import SKETCH_FDA, SYNCHRONOUS, digits_suite

SUITE = digits_suite(
    [SYNCHRONOUS, 'kind = "fedadam"\nlocal_steps = 7', SKETCH_FDA],
    name="killed",
    steps=400,
    every_steps=50,
    targets=None,
    workers=3,
    workload='sampling = "replacement"',
)
MAX_CALLS = 6
REFERENCE = "whole"
"""The results folder of the uninterrupted run."""
TARGETS = ("child", "parent", "all")


def start(folder: Path, out: str) -> subprocess.Popen[str]:
    """Start a run in its own process group, with a checkpoint every tenth of a second."""
    (folder / "tmp").mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "fdabench",
        "run",
        "killed.toml",
        "-o",
        out,
        "-j",
        "2",
        "--checkpoint-every",
        "0.1s",
    ]
    base_folder = str(Path(fdabench.__file__).parents[1])
    variables = os.environ | {"TMPDIR": str(folder / "tmp"), "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": base_folder}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=variables, text=True, stdout=pipe, stderr=pipe, start_new_session=True
    )


def cell_processes(results: Path) -> list[int]:
    """The ids of the processes that run a cell now, from the records."""
    actual = []
    for path in results.glob("cells/*/cell.json"):
        record = json.loads(path.read_bytes())
        if record["state"] == "interrupted":
            actual.append(record["process"]["pid"])
    return actual


def wait_for_cells(program: subprocess.Popen[str], results: Path) -> None:
    while program.poll() is None and not cell_processes(results):
        time.sleep(0.01)


def kill_one(program: subprocess.Popen[str], results: Path, rng: random.Random, most_s: float) -> str:
    """Kill a random target at a random time after the first cell has started; returns the target, or `late`."""
    wait_for_cells(program, results)
    time.sleep(rng.uniform(0, most_s))
    target = rng.choice(TARGETS)
    if program.poll() is not None:
        return "late"
    with suppress(ProcessLookupError):
        if target == "all":
            os.killpg(program.pid, signal.SIGKILL)
        elif target == "parent":
            os.kill(program.pid, signal.SIGKILL)
        else:
            for pid in cell_processes(results)[:1]:
                os.kill(pid, signal.SIGKILL)
    return target


def tables(results: Path) -> dict[str, pd.DataFrame]:
    """All tables of all cells, without the columns that hold wall-clock times."""
    store, actual = ResultsFolder(results), {}
    for cell in store.read_lock().cell:
        for name in TABLES:
            frame = store.read_cell_table(cell.id, name).to_pandas()
            actual[f"{cell.label} {name}"] = frame.drop(columns=[c for c in CLOCK_COLUMNS if c in frame])
    return actual


def kill_and_resume(folder: Path, trial: int, most_s: float) -> str:
    """Kill one run once or twice and resume it until it exits with 0; returns what happened.

    Asserts that its tables equal those of the uninterrupted run, that no temporary file is left, and that it ends.
    """
    rng, results, log = random.Random(trial), folder / f"run{trial}", []
    for call in range(MAX_CALLS):
        program = start(folder, results.name)
        if call < 1 + trial % 2:
            log.append(kill_one(program, results, rng, most_s))
        _, err = program.communicate(timeout=300)
        log.append(str(program.returncode))
        if program.returncode == 0:
            break
        assert program.returncode in (3, -signal.SIGKILL), err
    assert log[-1] == "0", log
    expected, actual = tables(folder / REFERENCE), tables(results)
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(actual[name], frame, check_exact=True, obj=name)
    resumed = []
    for path in results.glob("cells/*/cell.json"):
        assert {item.suffix for item in path.parent.iterdir()} == {".json", ".parquet"}, list(path.parent.iterdir())
        resumed.append(json.loads(path.read_bytes())["resumed_at_step"])
    left = [path.name for path in (folder / "tmp").glob("fdabench*")]
    assert left == [], left
    return f"{' '.join(log)}, resumed at {sorted(resumed)}"


def run_uninterrupted(folder: Path) -> float:
    """Run the suite once without a kill; returns the seconds that its cells took on a machine as busy as this one."""
    (folder / "killed.toml").write_text(SUITE)
    program = start(folder, REFERENCE)
    wait_for_cells(program, folder / REFERENCE)
    started = time.monotonic()
    _, err = program.communicate(timeout=300)
    assert program.returncode == 0, err
    return time.monotonic() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="stop after so many kills")
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        help="number of the first run; a number seeds the times and the targets of its kills",
    )
    options = parser.parse_args()
    killed = 0
    with tempfile.TemporaryDirectory() as name:
        length = run_uninterrupted(Path(name))
        for trial in count(options.first):
            log = kill_and_resume(Path(name), trial, length)
            killed += sum(word in TARGETS for word in log.split())
            print(f"{trial}: {log}; {killed} kills, each run equal to the uninterrupted one", flush=True)
            if killed >= options.kills:
                break
