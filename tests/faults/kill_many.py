"""Kill a run at random moments, go on with it, and see whether the numbers are those of a run that nobody disturbed.

    python tests/faults/kill_many.py --moments 20

Each time one of these is killed (SIGKILL), once or twice: a process that runs cells, the one that gives them out, all.
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
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.results.store import TABLES, Store

SUITE = """
name = "killed"
[budget]
steps = 400
[eval]
every_steps = 50
[[workload]]
dataset = "digits"
model = "mlp"
workers = 3
batch_size = 32
optimizer = { kind = "adam", lr = 1e-3 }
sampling = "replacement"
[[strategy]]
kind = "synchronous"
[[strategy]]
kind = "fedadam"
local_steps = 7
[[strategy]]
kind = "fda"
monitor = "sketch"
theta = 0.3
"""
MOST_CALLS = 6
WHOM = ("child", "parent", "all")


def begin(folder: Path, out: str) -> subprocess.Popen[str]:
    """A run in a process group of its own, with checkpoints as often as they cost nothing."""
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
    home = str(Path(fdabench.__file__).parents[1])
    variables = os.environ | {"TMPDIR": str(folder / "tmp"), "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": home}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=variables, text=True, stdout=pipe, stderr=pipe, start_new_session=True
    )


def cell_processes(results: Path) -> list[int]:
    """Those that are at a cell now, as the records say."""
    found = []
    for path in results.glob("cells/*/cell.json"):
        record = json.loads(path.read_bytes())
        if record["state"] == "interrupted":
            found.append(record["process"]["pid"])
    return found


def wait_for_cells(program: subprocess.Popen[str], results: Path) -> None:
    while program.poll() is None and not cell_processes(results):
        time.sleep(0.01)


def strike(program: subprocess.Popen[str], results: Path, rng: random.Random, most_s: float) -> str:
    """Wait for a random moment after cells have begun, and kill somebody, if it is not too late for that."""
    wait_for_cells(program, results)
    time.sleep(rng.uniform(0, most_s))
    whom = rng.choice(WHOM)
    if program.poll() is not None:
        return "late"
    with suppress(ProcessLookupError):
        if whom == "all":
            os.killpg(program.pid, signal.SIGKILL)
        elif whom == "parent":
            os.kill(program.pid, signal.SIGKILL)
        else:
            for pid in cell_processes(results)[:1]:
                os.kill(pid, signal.SIGKILL)
    return whom


def tables(results: Path) -> dict[str, pd.DataFrame]:
    """All tables of all cells, without their clocks."""
    store, found = Store(results), {}
    for cell in store.read_lock()["cell"]:
        for name in TABLES:
            frame = store.read_cell_table(cell["id"], name).to_pandas()
            found[f"{cell['label']} {name}"] = frame.drop(columns=[c for c in CLOCK_COLUMNS if c in frame])
    return found


def survive(folder: Path, trial: int, most_s: float) -> str:
    """One run, killed once or twice and taken up again until it ends well; what happened to it.

    Raises:
        AssertionError: the numbers are others, something is left behind, or it does not come to an end.
    """
    rng, results, story = random.Random(trial), folder / f"run{trial}", []
    for call in range(MOST_CALLS):
        program = begin(folder, results.name)
        if call < 1 + trial % 2:
            story.append(strike(program, results, rng, most_s))
        _, err = program.communicate(timeout=300)
        story.append(str(program.returncode))
        if program.returncode == 0:
            break
        assert program.returncode in (3, -signal.SIGKILL), err
    assert story[-1] == "0", story
    expected, found = tables(folder / "whole"), tables(results)
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True, obj=name)
    resumed = []
    for path in results.glob("cells/*/cell.json"):
        assert {each.suffix for each in path.parent.iterdir()} == {".json", ".parquet"}, list(path.parent.iterdir())
        resumed.append(json.loads(path.read_bytes())["resumed_at_step"])
    left = [path.name for path in (folder / "tmp").glob("fdabench*")]
    assert left == [], left
    return f"{' '.join(story)}, resumed at {sorted(resumed)}"


def undisturbed(folder: Path) -> float:
    """The run that all others have to equal; how many seconds its cells took, on a machine as busy as it is now."""
    (folder / "killed.toml").write_text(SUITE)
    program = begin(folder, "whole")
    wait_for_cells(program, folder / "whole")
    begun = time.monotonic()
    _, err = program.communicate(timeout=300)
    assert program.returncode == 0, err
    return time.monotonic() - begun


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20, help="at which somebody was killed")
    parser.add_argument("--first", type=int, default=0, help="of the runs; one number is one choice of moments")
    asked = parser.parse_args()
    killed = 0
    with tempfile.TemporaryDirectory() as name:
        length = undisturbed(Path(name))
        for trial in count(asked.first):
            story = survive(Path(name), trial, length)
            killed += sum(word in WHOM for word in story.split())
            print(f"{trial}: {story}; {killed} moments, each run equal to the undisturbed one", flush=True)
            if killed >= asked.moments:
                break
