"""The real program on the digits for a hundred steps, and runs that are only made up."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from fdabench.gate.check import check
from fdabench.gate.margins import DEFAULTS
from fdabench.gate.runs import Run, Snapshot
from fdabench.gate.snapshots import snapshot
from fdabench.gate.verdict import Checked
from fdabench.results.load import load
from fdabench.results.store import Store
from fdabench.run.cell import Machine, Watcher, run_together
from fdabench.run.shared import load_all
from fdabench.suite.reader import read_suite

WATCHED = """
name = "watched"

[budget]
steps = 100

[eval]
every_steps = 20
targets = [0.5, 0.99]

[[workload]]
dataset = "digits"
model = "mlp"
workers = 2
batch_size = 16
optimizer = { kind = "adam", lr = 1e-3 }
partition = { kind = "dirichlet", alpha = 0.5 }

[[strategy]]
kind = "fedavg"
local_steps = 7

[[strategy]]
kind = "fda"
monitor = ["linear", { kind = "sketch", depth = 3, width = 20 }]
theta = 0.05
"""
PROTOCOL = {"convention": "paper", "targets": [0.9], "hit": 1, "reach": "at"}
HERE = Machine(torch.device("cpu"), "sequential", lambda name: load_all([name], Path("no-data"))[name])


class Watched(NamedTuple):
    """Runs a suite in this process, as the code is now, and compares it with how it was."""

    folder: Path
    before: Snapshot

    def results(self, text: str = WATCHED, machine: Machine = HERE) -> Path:
        """A new results folder."""
        number = len(list(self.folder.glob("results-*")))
        (self.folder / "watched.toml").write_text(text)
        suite, store = read_suite(self.folder / "watched.toml"), Store(self.folder / f"results-{number}")
        store.write_lock(suite.locked())
        for cell in suite.cells:
            run_together([cell], store, machine, Watcher())
        return store.root

    def check(self, text: str = WATCHED, machine: Machine = HERE) -> Checked:
        results = load(self.results(text, machine))
        after = snapshot(results, self.before.protocol)
        return check(self.before, after, results.lock["gate"], snapshot(results), "before")


@pytest.fixture(scope="session")
def unchanged_code(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """What the code does today."""
    folder = tmp_path_factory.mktemp("before")
    return snapshot(load(Watched(folder, Snapshot("", {}, {}, ())).results()))


@pytest.fixture
def watched(tmp_path: Path, unchanged_code: Snapshot) -> Watched:
    return Watched(tmp_path, unchanged_code)


def made_up(cell: str, seed: int, accuracy: float = 0.9, **changes: Any) -> Run:
    """A run of an FDA that never was; its environment is `here`."""
    run = Run(
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


def seen(runs: Sequence[Run], **protocol: Any) -> Snapshot:
    environments = {run.environment: {"torch": run.environment} for run in runs}
    return Snapshot("made up", {**PROTOCOL, **protocol}, environments, tuple(runs))


@pytest.fixture
def compared() -> Callable[..., Checked]:
    """Check runs against runs, by the default margins or others."""

    def compare(before: Sequence[Run], after: Sequence[Run], **gate: Any) -> Checked:
        new = seen(after)
        return check(seen(before), new, {**DEFAULTS, **gate}, new, "before")

    return compare
