"""Ranks that make different numbers of steps, resume, or are killed: no rank waits forever.

One process group of two ranks runs all loops, because a process takes seconds to start.
"""

import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
import torch

from fdabench.api import load_results
from support.launch import launch
from support.own_loop.loop_tasks import LoopEnd, RankLoops, all_rank_loops

EVERY_STEP = ("synchronous", "ddp")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own-loop") / "mine"


@pytest.fixture(scope="module")
def ranks(saved: Path) -> list[RankLoops]:
    return launch(all_rank_loops, 2, str(saved))


def assert_same_decisions(kind: str, first: LoopEnd, second: LoopEnd) -> None:
    assert first.ledger == second.ledger
    if kind in EVERY_STEP:
        assert torch.equal(first.w_D, second.w_D)
        assert first.w_D.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["synchronous", "fda", "ddp", "scaffold"])
def test_ranks_with_uneven_data_end_together(kind: str, ranks: list[RankLoops]) -> None:
    first, second = (rank.uneven[kind] for rank in ranks)
    assert first.steps == second.steps == 7
    assert_same_decisions(kind, first, second)


@pytest.mark.parametrize("kind", ["synchronous", "fda", "ddp"])
def test_a_step_that_a_gradient_scaler_skips_on_one_rank_does_not_hang(kind: str, ranks: list[RankLoops]) -> None:
    first, second = (rank.skipped[kind] for rank in ranks)
    assert first.steps == second.steps == 6
    assert_same_decisions(kind, first, second)


def test_gradient_accumulation_makes_one_decision_for_each_step_of_the_optimizer(ranks: list[RankLoops]) -> None:
    first, second = (rank.accumulated for rank in ranks)
    assert first.steps == second.steps == 3
    assert_same_decisions("synchronous", first, second)


def test_a_resumed_loop_has_equal_weights_and_an_equal_ledger(ranks: list[RankLoops]) -> None:
    for straight, resumed in (rank.straight_and_resumed for rank in ranks):
        assert torch.equal(resumed.w_D, straight.w_D)
        assert resumed[1:] == straight[1:]


def test_a_model_wrapped_in_ddp_has_the_bits_of_an_unwrapped_one(ranks: list[RankLoops]) -> None:
    for plain, wrapped in (rank.plain_and_ddp for rank in ranks):
        assert torch.equal(wrapped.w_D, plain.w_D)
        assert wrapped[1:] == plain[1:]
    # the gradients stayed with their rank: after a step without a sync the models differ
    assert not torch.equal(ranks[0].plain_and_ddp[1].w_D, ranks[1].plain_and_ddp[1].w_D)


def test_fully_sharded_models_are_refused_with_the_reason(ranks: list[RankLoops]) -> None:
    for rank in ranks:
        assert "shards its parameters over the ranks" in rank.sharded


def test_buffers_are_local_or_averaged_by_an_option(ranks: list[RankLoops]) -> None:
    for name, bits in (("local", False), ("averaged", True)):
        first, second = (rank.running_means[name] for rank in ranks)
        assert torch.equal(first, second) is bits
    expected = (ranks[0].running_means["local"] + ranks[1].running_means["local"]) / 2
    torch.testing.assert_close(ranks[0].running_means["averaged"], expected)


def test_a_parameter_without_a_gradient_on_one_rank_is_averaged(ranks: list[RankLoops]) -> None:
    first, second = (rank.without_gradient for rank in ranks)
    assert first.steps == second.steps == 2
    assert_same_decisions("ddp", first, second)


def test_a_saved_run_is_read_with_the_seconds_of_its_collectives(saved: Path, ranks: list[RankLoops]) -> None:
    results = load_results(saved)
    runs = results.runs.set_index("strategy")
    assert set(runs.index) == {"synchronous", "fda"}
    assert set(runs["workers"]) == {2}
    assert set(runs["num_parameters"]) == {83}
    assert runs.loc["synchronous", "syncs"] == 12
    # the initial model and twelve others, of two ranks, up and down
    assert runs.loc["synchronous", "bytes_model"] == 13 * 2 * 2 * 83 * 4
    assert {record.engine for record in results.records.values()} == {"own-loop"}


@pytest.mark.slow
def test_a_killed_rank_is_named_and_both_resume_to_the_weights_of_an_uninterrupted_run(tmp_path: Path) -> None:
    start = monotonic()
    first, second = start_ranks("killed", tmp_path)
    output, _ = first.communicate(timeout=120)
    second.communicate(timeout=120)
    assert f"rank 1 of 2 (pid {second.pid} on " in output
    assert "has exited" in output
    assert monotonic() - start < 120
    for rank in start_ranks("resumed", tmp_path):
        rank.communicate(timeout=120)
        assert rank.returncode == 0
    for rank in range(2):
        end = torch.load(tmp_path / f"end-{rank}.pt", weights_only=True)
        assert torch.equal(end["resumed"], end["straight"])


def start_ranks(mode: str, folder: Path) -> list[subprocess.Popen[str]]:
    """Start the two processes of `support.own_loop.kill_and_resume`."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "FOLDER": str(folder), "MODE": mode}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "support.own_loop.kill_and_resume"],
            env={**environment, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
