"""The memory of a process that trains text, against the peak that the operating system measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
name = "memory"
budget.steps = 3
eval.every_steps = 3
[[workload]]
dataset = "shakespeare"
model = "gpt-nano"
workers = 5
batch_size = 16
optimizer = { kind = "adamw", lr = 0.003 }
[[strategy]]
kind = "fda"
monitor = "linear"
theta = 1.0
"""
PROGRAM = """
import json, sys
from pathlib import Path
from fdabench.datasets import DATASETS
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, train_cells
from fdabench.planning.memory import simulation_bytes
from fdabench.suite.reader import read_suite

(cell,) = read_suite(Path(sys.argv[1])).cells
resolved = ResolvedCell(cell.config)
(result,) = train_cells([CellJob("0" * 12, resolved)], DATASETS["shakespeare"].load(Path()))
# not ru_maxrss, which a process takes over from the one that started it
lines = Path("/proc/self/status").read_text().splitlines()
(peak,) = (1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(json.dumps([result.state, peak, simulation_bytes(resolved)]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_the_planned_memory_of_gpt_nano_is_near_the_measured_peak(tmp_path: Path) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(SUITE)
    done = subprocess.run([sys.executable, "-c", PROGRAM, suite], capture_output=True, text=True, check=True)
    state, peak, planned = json.loads(done.stdout)
    assert state == "done"
    assert planned == pytest.approx(peak, rel=0.25)
