"""Ranks that make different numbers of steps, that resume, and that are lost: none waits forever."""

import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
import torch

from fdabench.api import load_results
from support.launch import launch
from support.loop_tasks import save_run, skipped, straight_and_resumed, uneven

FEDAVG = {"kind": "fedavg", "local_steps": 2}
FDA = {"kind": "fda", "monitor": "linear", "theta": 0.001}
EVERY_STEP = {"kind": "synchronous"}
DDP = {"kind": "ddp"}
SCAFFOLD = {"kind": "scaffold", "local_steps": 2}


@pytest.mark.parametrize("table", [EVERY_STEP, FDA, DDP, SCAFFOLD], ids=lambda table: table["kind"])
def test_uneven_data_end_together(table: dict) -> None:
    first, second = launch(uneven, 2, table, (7, 4))
    assert first.steps == second.steps == 7
    assert first.ledger == second.ledger
    if table in (EVERY_STEP, DDP):
        assert torch.equal(first.w_D, second.w_D)


@pytest.mark.parametrize("table", [EVERY_STEP, FDA, DDP], ids=lambda table: table["kind"])
def test_a_step_that_a_gradient_scaler_skips_on_one_rank_does_not_hang(table: dict) -> None:
    first, second = launch(skipped, 2, table)
    assert first.steps == second.steps == 6
    assert first.ledger == second.ledger
    if table in (EVERY_STEP, DDP):
        assert torch.equal(first.w_D, second.w_D)
        assert first.w_D.isfinite().all()


def test_a_resumed_loop_has_equal_weights_and_an_equal_ledger() -> None:
    for straight, resumed in launch(straight_and_resumed, 2, {**FEDAVG, "kind": "fedadam", "local_steps": 3}):
        assert torch.equal(resumed.w_D, straight.w_D)
        assert resumed[1:] == straight[1:]


def test_the_rank_that_was_killed_is_named_by_the_one_that_is_left(tmp_path: Path) -> None:
    start, code = monotonic(), "from support.loop_tasks import kill_last_rank; kill_last_rank()"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "KILL_TEST_STORE": str(tmp_path / "store"),
    }
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", code], env={**environment, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    said, _ = ranks[0].communicate(timeout=120)
    ranks[1].communicate(timeout=120)
    assert f"rank 1 of 2 (pid {ranks[1].pid} on " in said
    assert "has exited" in said
    assert monotonic() - start < 120


def test_a_saved_run_is_read_as_any_other_with_the_seconds_of_its_collectives(tmp_path: Path) -> None:
    launch(save_run, 2, str(tmp_path / "mine"))
    results = load_results(tmp_path / "mine")
    runs = results.runs.set_index("strategy")
    assert set(runs.index) == {"synchronous", "fda"}
    assert set(runs["workers"]) == {2}
    assert set(runs["num_parameters"]) == {83}
    assert runs.loc["synchronous", "syncs"] == 12
    # the initial model and twelve others, of two ranks, up and down
    assert runs.loc["synchronous", "bytes_model"] == 13 * 2 * 2 * 83 * 4
    assert {record.engine for record in results.records.values()} == {"own-loop"}
