"""Changes of the code or the suite that the gate must detect, and changes that it must pass."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fdabench
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import Round, StepContext
from fdabench.core.sync import synchronize
from fdabench.experiment import build as setting
from fdabench.experiment import run_cell
from fdabench.experiment.resolved_cell import SEED_AXES
from fdabench.gate.compare.verdict import CheckResult, Verdict
from fdabench.monitors.linear import Linear
from fdabench.monitors.sketch import Sketch
from fdabench.registry.build_component import build_component
from fdabench.strategies.fda import FDA
from fdabench.strategies.fedavg import FedAvg
from support.cells import CPU
from support.gate_runs import DIGITS, CodeChange


def failing(checked: CheckResult) -> set[tuple[str, str, str]]:
    """Class, strategy and metric of the failed findings."""
    return {(item.kind, " ".join(item.cell.split()[:1]), item.metric) for item in checked.failures}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine with another build of torch."""
    real = run_cell.environment
    monkeypatch.setattr(run_cell, "environment", lambda device: {**real(device), "torch": "2.99.0"})


def test_unchanged_code_passes(code_change: CodeChange) -> None:
    checked = code_change.check()
    assert checked.exit_code == 0
    assert {item.verdict for item in checked.findings} == {Verdict.unchanged}
    assert checked.why == ()
    assert {kind: sum(checked.counts(kind).values()) for kind in "ABC"} == {"A": 27, "B": 26, "C": 3}


def test_one_more_sync_in_a_hundred_steps_is_detected(code_change: CodeChange, monkeypatch: pytest.MonkeyPatch) -> None:
    real = FDA.step

    def step(self: FDA, ctx: StepContext, r: Any, channel: Any) -> Any:
        done = real(self, ctx, r, channel)
        return done if ctx.t != 98 or done.synced else synchronize(ctx, r, self.rule, channel, done.estimate)

    monkeypatch.setattr(FDA, "step", step)
    checked = code_change.check()
    assert checked.exit_code == 1
    assert ("B", "fda", "sync_steps") in failing(checked)
    more = [item for item in checked.failures if item.metric == "syncs"]
    assert {int(item.after) - int(item.before) for item in more} == {1}  # type: ignore[arg-type]
    assert re.search(r"sync \d+: step none -> 99, estimate none -> 0\.0\d+ \(theta 0\.05\)", checked.why[0])


def test_a_state_with_one_more_number_is_detected(
    code_change: CodeChange, monkeypatch: pytest.MonkeyPatch, elsewhere: None
) -> None:
    real = Linear.local_state

    def longer(self: Linear, u_KD: torch.Tensor, r: Round) -> torch.Tensor:
        return torch.nn.functional.pad(real(self, u_KD, r), (0, 1))

    monkeypatch.setattr(Linear, "local_state", longer)
    checked = code_change.check()
    assert checked.exit_code == 1
    (finding,) = [item for item in checked.failures if item.kind == "A"]
    assert (finding.metric, finding.before, finding.after) == ("payload.state", 8, 12)


def test_bytes_counted_with_another_dtype_are_detected(
    code_change: CodeChange, monkeypatch: pytest.MonkeyPatch, elsewhere: None
) -> None:
    """Fewer bytes are no better here: they are wrong."""
    real = Ledger.record
    monkeypatch.setattr(Ledger, "record", lambda self, kind, x, *rest, slack=0: real(self, kind, x.to(torch.bfloat16)))
    checked = code_change.check()
    assert checked.exit_code == 1
    assert {("A", "fedavg", "bytes_total"), ("A", "fda", "payload.model")} <= failing(checked)


def test_a_theta_that_differs_by_5_percent_is_detected(
    code_change: CodeChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer syncs and fewer bytes, but others: it takes a reason to accept them."""
    real = FDA.step
    monkeypatch.setattr(FDA, "step", lambda self, *rest: real(replace(self, theta=1.05 * self.theta), *rest))
    checked = code_change.check()
    assert checked.exit_code == 1
    assert ("B", "fda", "sync_steps") in failing(checked)
    assert not [item for item in checked.failures if item.cell.startswith("fedavg")]


def test_a_theta_that_is_resolved_wrongly_is_detected(
    code_change: CodeChange, monkeypatch: pytest.MonkeyPatch, elsewhere: None
) -> None:
    def off(*arguments: Any) -> Any:
        actual = build_component(*arguments)
        return replace(actual, theta=1.05 * actual.theta) if isinstance(actual, FDA) else actual

    monkeypatch.setattr("fdabench.experiment.resolved_cell.build_component", off)
    checked = code_change.check()
    assert ("A", "fda", "theta") in failing(checked)
    assert checked.exit_code == 1


def test_another_theta_in_the_suite_is_reported_as_a_changed_setting(code_change: CodeChange) -> None:
    checked = code_change.check(DIGITS.replace("theta = 0.05", "theta = 0.0525"))
    assert (checked.exit_code, checked.status, checked.missing, checked.added) == (4, "changed", (), ())
    linear, sketch = checked.changed
    assert [item.text.split(":")[0] for item in (linear, sketch)] == [
        "fda linear, theta 0.05 -> 0.0525",
        "fda sketch, theta 0.05 -> 0.0525",
    ]


def test_a_sketch_of_half_the_width_is_detected(code_change: CodeChange, monkeypatch: pytest.MonkeyPatch) -> None:
    state, bound = Sketch.local_state, Sketch.variance_bound
    monkeypatch.setattr(Sketch, "local_state", lambda self, u, r: state(replace(self, width=self.width // 2), u, r))
    monkeypatch.setattr(Sketch, "variance_bound", lambda self, s: bound(replace(self, width=self.width // 2), s))
    checked = code_change.check()
    assert checked.exit_code == 1
    (finding,) = [item for item in checked.failures if item.metric == "payload.state"]
    assert (finding.kind, finding.before, finding.after) == ("A", 4 * 61, 4 * 31)


def test_a_partition_seed_with_another_axis_is_detected(
    code_change: CodeChange, monkeypatch: pytest.MonkeyPatch, elsewhere: None
) -> None:
    """By the axes that the seed is made from: known without running anything, so anywhere."""
    monkeypatch.setitem(SEED_AXES, "partition", (*SEED_AXES["partition"], "batch_size"))  # type: ignore[arg-type]
    checked = code_change.check()
    assert checked.exit_code == 1
    assert {("A", "fedavg", "seeds"), ("A", "fda", "seeds")} <= failing(checked)


def test_a_partition_with_other_draws_is_detected(code_change: CodeChange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the seeds: who holds what is not the same."""
    real = setting.numpy_generator
    monkeypatch.setattr(setting, "numpy_generator", lambda seed: real(seed + 1))
    checked = code_change.check()
    assert checked.exit_code == 1
    assert ("B", "fedavg", "partition") in failing(checked)


def test_a_period_that_is_off_by_one_is_detected(
    code_change: CodeChange, monkeypatch: pytest.MonkeyPatch, elsewhere: None
) -> None:
    real = FedAvg.step
    monkeypatch.setattr(FedAvg, "step", lambda self, *rest: real(replace(self, period=self.period + 1), *rest))
    checked = code_change.check()
    assert checked.exit_code == 1
    assert {("A", "fedavg", "syncs"), ("A", "fedavg", "bytes_total"), ("A", "fedavg", "sync_steps")} <= failing(checked)
    assert any("sync 1: step 7 -> 8, estimate" not in line and "sync 1: step" in line for line in checked.why)


def test_different_rounding_of_another_machine_passes(
    code_change: CodeChange, monkeypatch: pytest.MonkeyPatch, elsewhere: None
) -> None:
    """Rounding differs for real: the sum over workers takes them the other way round, one product at a time."""
    monkeypatch.setattr(
        InProcessCollective, "mean", lambda self, x_KD: (x_KD.flip(0) * self.weight_K.flip(0)[:, None]).sum(0)
    )
    checked = code_change.check()
    assert checked.exit_code == 0, checked.failures
    assert checked.counts("B") == {}
    assert any("another environment (torch 2" in note for note in checked.notes)


def test_the_vectorized_engine_is_another_environment_class(code_change: CodeChange) -> None:
    checked = code_change.check(machine=replace(CPU, config=replace(CPU.config, engine="vectorized")))
    assert checked.exit_code == 0, checked.failures
    assert any("engine sequential -> vectorized" in note for note in checked.notes)


def test_another_order_of_cells_and_new_cells_pass(code_change: CodeChange) -> None:
    head, *strategies = DIGITS.split("[[strategy]]")
    turned = "[[strategy]]".join([head, *reversed([f"{item}\n" for item in strategies])])
    more = turned.replace("theta = 0.05", "theta = [0.2, 0.05]").replace("local_steps = 7", "local_steps = [9, 7]")
    checked = code_change.check(more)
    assert checked.exit_code == 0
    assert {item.verdict for item in checked.findings} == {Verdict.unchanged}
    assert len(checked.added) == 3


def refactored(source: Path, target: Path) -> None:
    """A copy of the package with other comments, docstrings and local names in the code of training."""
    shutil.copytree(source, target)
    changes: dict[str, Callable[[str], str]] = {
        "strategies/fda.py": lambda text: text.replace("s_S", "mean_S").replace("u_KD", "drift_KD"),
        "core/sync.py": lambda text: text.replace(
            "        u_D = channel", "        # the drifts' mean\n        u_D = channel"
        ),
        "monitors/linear.py": lambda text: text.replace(
            "    def variance_bound", "    # no more than the variance\n    def variance_bound"
        ),
    }
    for name, change in changes.items():
        before = (target / name).read_text(encoding="utf-8")
        assert change(before) != before
        (target / name).write_text(change(before), encoding="utf-8")


@pytest.mark.slow
def test_a_refactoring_passes(code_change: CodeChange, tmp_path: Path) -> None:
    refactored(Path(fdabench.__file__).parent, tmp_path / "fdabench")
    (tmp_path / "watched.toml").write_text(DIGITS)
    old = code_change.results()
    for arguments in (
        ["run", "-q", "--jobs", "1", "watched.toml", "-o", "new"],
        ["check", "new", "--against", str(old)],
    ):
        command = [sys.executable, "-m", "fdabench", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": "."}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(": pass\n")
    assert "A formula       27 unchanged (exact)" in done.stdout
