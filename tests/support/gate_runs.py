"""Runs for the gate: of the real program on the digits for a hundred steps, and runs without any training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.gate.baseline.model import EvaluationProtocol, ResultsSummary, RunSummary
from fdabench.gate.baseline.snapshot import summarize_results
from fdabench.gate.compare.check import check
from fdabench.gate.compare.settings import read_gate_settings
from fdabench.gate.compare.verdict import CheckResult
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import load
from fdabench.suite.reader import read_suite
from support.cells import CPU
from support.suites import DIRICHLET, digits_suite

DIGITS = digits_suite(
    [
        'kind = "fedavg"\nlocal_steps = 7',
        'kind = "fda"\nmonitor = ["linear", { kind = "sketch", depth = 3, width = 20 }]\ntheta = 0.05',
    ],
    name="watched",
    steps=100,
    every_steps=20,
    targets=[0.5, 0.99],
    batch_size=16,
    workload=f"partition = {DIRICHLET}",
)
PROTOCOL = EvaluationProtocol("paper", [0.9], 1, ">=")


class CodeChange(NamedTuple):
    """Runs a suite in this process with the code as it is now, and compares the results with those of before."""

    folder: Path
    before: ResultsSummary

    def results(self, text: str = DIGITS, machine: ExecutionContext = CPU) -> Path:
        """A new results folder."""
        number = len(list(self.folder.glob("results-*")))
        (self.folder / "watched.toml").write_text(text)
        suite, store = read_suite(self.folder / "watched.toml"), ResultsFolder(self.folder / f"results-{number}")
        store.write_lock(suite.to_lock())
        for cell in suite.cells:
            run_cells_batched([cell], store, machine, CellCallbacks())
        return store.root

    def check(self, text: str = DIGITS, machine: ExecutionContext = CPU) -> CheckResult:
        results = load(self.results(text, machine))
        gate = read_gate_settings(results.lock, ResultsFolder(results.root).lock_path)
        after = summarize_results(results, self.before.protocol)
        return check(self.before, after, gate, summarize_results(results), "before")


def make_run(cell: str, seed: int, accuracy: float = 0.9, **changes: Any) -> RunSummary:
    """A run of FDA without training, in the environment `here`; `changes` replaces any of its fields."""
    run = RunSummary(
        cell=cell,
        seed=seed,
        id=f"{cell} {seed}",
        environment="here",
        state="done",
        num_parameters=1000,
        seeds="5eed",
        partition="5a5a",
        payload={"initial": (4000,), "model": (4000,), "state": (8,)},
        theta=1.5,
        period=None,
        steps=100,
        syncs=0,
        sync_steps="none",
        first_syncs=(),
        bytes_model=80_000,
        bytes_state=8_000,
        bytes_optimizer=0,
        bytes_total=88_000,
        accuracy=accuracy,
        bytes_to={"0.9": 44_000},
        steps_to={"0.9": 50},
    )
    return replace(run, **changes)


def make_snapshot(runs: Sequence[RunSummary], **protocol: Any) -> ResultsSummary:
    """The runs as a results folder or a baseline contains them."""
    environments = {run.environment: {"torch": run.environment} for run in runs}
    return ResultsSummary("made up", PROTOCOL._replace(**protocol), environments, tuple(runs))
