"""Loops of other packages with `fdabench.sync`, on two processes with the real packages.

Phase of a fixed period: fdabench and LocalSGD synchronize after the steps H, 2H, ... PeriodicModelAverager counts its
calls from 0 and averages at the multiples of H from `warmup_steps` on, so its counter of the step H is H - 1.
"""

from pathlib import Path

import pytest
import torch

from fdabench.errors import UsageError
from support.launch import launch
from support.own_loop.adapter_loops import fixed_periods, in_lightning, launched_by_torchrun

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_a_fixed_period_equals_that_of_accelerate_and_of_torch() -> None:
    pytest.importorskip("accelerate")
    first, second = launch(fixed_periods, 2)
    for ends in (first, second):
        torch.testing.assert_close(ends.accelerate, ends.loop, rtol=0, atol=1e-6)
        torch.testing.assert_close(ends.torch, ends.loop, rtol=0, atol=1e-6)
    # the last step is a sync
    assert torch.equal(first.loop, second.loop)


@pytest.mark.parametrize(
    ("name", "steps", "syncs"), [("accelerate", 4, 2), ("lightning", 8, 4), ("transformers", 8, 4)]
)
def test_a_trainer_in_two_processes_synchronizes_at_the_steps_of_the_strategy(
    name: str, steps: int, syncs: int, tmp_path: Path
) -> None:
    pytest.importorskip(name)
    first, second = launch(launched_by_torchrun, 2, name, str(tmp_path))
    assert (first.steps, first.syncs) == (second.steps, second.syncs) == (steps, syncs)
    assert torch.equal(first.w_D, second.w_D)
    # the gradients of DistributedDataParallel do not cross
    assert {entry.kind for entry in first.ledger} == {"initial", "model"}


def test_one_process_needs_no_process_group(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    assert in_lightning(1, str(tmp_path)).syncs == 4


def test_a_strategy_that_needs_gradients_before_lightning_computes_them_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    with pytest.raises(UsageError, match=r"Lightning computes gradients within optimizer\.step"):
        in_lightning(1, str(tmp_path), {"kind": "ddp"})
