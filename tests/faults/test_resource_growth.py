"""A long cell takes no more memory and no more files than a short one, and what it writes down stays bounded."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fdabench
from support.suites import digits_suite, linear_fda

CELL = """
import gc, json, os, sys
from pathlib import Path

import torch

from fdabench.results.folder import ResultsFolder
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.run_cell import ExecutionContext, CellCallbacks, run_cells_batched
from fdabench.execution.shared_data import load_datasets
from fdabench.suite.reader import read_suite

steps, leak = int(sys.argv[1]), sys.argv[2] == "leak"
torch.set_num_threads(1)
overrides = [f"budget.steps={steps}", f"eval.every_steps={steps // 5}"]
(cell,) = read_suite(Path("long.toml"), overrides).cells
data = load_datasets(["digits"], Path("no-data"))
samples, kept, step = [], [], 0

def stop_asked():
    global step
    step += 1
    if leak:
        kept.append(float(step))
    if step % (steps // 5) == 0:
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        samples.append([sys.getallocatedblocks(), resident, len(os.listdir("/proc/self/fd"))])
    return False

config = ExecutionConfig(torch.device("cpu"), "sequential", checkpoint_s=2.0)
machine = ExecutionContext(config, lambda name: data[name])
(record,) = run_cells_batched([cell], ResultsFolder(Path("out")), machine, CellCallbacks(should_stop=stop_asked))
sizes = {path.name: path.stat().st_size for path in Path("out").rglob("*") if path.is_file()}
print(json.dumps({"state": record.state, "steps": record.steps, "samples": samples, "sizes": sizes}))
"""
SUITE = digits_suite(
    [linear_fda(1e9)],
    name="long",
    steps=1,
    every_steps=1,
    targets=None,
    workers=1,
    batch_size=1,
    optimizer='{ kind = "sgd", lr = 1e-6 }',
    workload='sampling = "replacement"',
)


def grown(folder: Path, steps: int, leak: str) -> Any:
    """The memory and the files of a cell at each fifth of its steps, in its own process."""
    (folder / "long.toml").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-c", CELL, str(steps), leak],
        cwd=folder,
        env={"PYTHONPATH": str(Path(fdabench.__file__).parents[1]), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def per_step(actual: Any, column: int) -> float:
    """The growth for each step from the second fifth, after all initial allocations, to the last."""
    samples = actual["samples"]
    return (samples[-1][column] - samples[1][column]) / (actual["steps"] * (len(samples) - 2) / 5)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_cell_of_50_000_steps_needs_no_more_memory_and_files_than_a_short_one(tmp_path: Path) -> None:
    actual = grown(tmp_path, 50_000, "keep nothing")
    assert (actual["state"], actual["steps"]) == ("done", 50_000)
    assert per_step(actual, 0) < 0.5, "Python objects for each step; the trace's 2,000 rows are some"
    assert per_step(actual, 1) < 200, "bytes of the process"
    files = [sample[2] for sample in actual["samples"]]
    assert max(files) == min(files)
    assert max(actual["sizes"].values()) < 100_000, "whatever the number of steps"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_number_stored_at_each_step_would_be_detected(tmp_path: Path) -> None:
    assert per_step(grown(tmp_path, 5_000, "leak"), 0) > 0.5
