"""Lost messages of syncs: the same bits without losses, means by hand, the quorum, and resumed cells."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
import torch

from fdabench.codecs.int8 import Int8
from fdabench.codecs.topk import TopK
from fdabench.core.channel import Channel, LossyMessages
from fdabench.core.codec import Codec
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import ServerOptimizer
from fdabench.engine.loop import StepEvent
from fdabench.errors import SuiteError
from fdabench.results.folder import TABLES
from fdabench.servers.average import Average
from fdabench.servers.momentum import Momentum
from fdabench.strategies.fedavg import FedAvg
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.cells import stop_and_resume, tables_of
from support.suites import FEDAVG, SYNCHRONOUS, digits_suite, linear_fda
from support.toy import equal_shares, train

TOPK = 'kind = "fedavg"\nlocal_steps = 3\ncodec = { kind = "topk", share = 0.05 }\nfeedback = 1.0'
SCAFFOLD = 'kind = "scaffold"\nlocal_steps = 3\noptimizer = { kind = "sgd", lr = 0.05 }'
DDP = 'kind = "ddp"'
WEIGHTS = torch.tensor([0.1, 0.2, 0.3, 0.4])


def cell_of(tmp_path: Path, strategy: str, loss: str = "", workers: int = 4) -> Cell:
    path = tmp_path / "suite.toml"
    line = f"message_loss = {loss}" if loss else ""
    text = digits_suite([strategy], steps=12, every_steps=6, workers=workers, workload=line)
    path.write_text(text, encoding="utf-8")
    (cell,) = read_suite(path).cells
    return cell


def channel_at(step: int, loss: LossyMessages | None) -> Channel:
    ledger = Ledger()
    ledger.step = step
    return Channel(InProcessCollective(WEIGHTS), ledger, loss=loss)


def step_with_losses(loss: LossyMessages, arrive: int) -> int:
    return next(step for step in range(1, 1000) if int(loss.arrived(step).sum()) == arrive)


@pytest.mark.parametrize("strategy", [FEDAVG, SYNCHRONOUS, linear_fda(0.3), TOPK, SCAFFOLD, DDP])
def test_without_lost_messages_every_bit_is_the_same(strategy: str, tmp_path: Path) -> None:
    plain, lossless = cell_of(tmp_path, strategy), cell_of(tmp_path, strategy, "{ probability = 0.0, quorum = 4 }")
    assert plain.id != lossless.id
    assert tables_of(lossless) == tables_of(plain)


def test_losses_depend_on_seed_and_step_only_and_have_their_probability() -> None:
    loss = LossyMessages(0.25, 1, 7, WEIGHTS)
    samples = torch.stack([loss.arrived(step) for step in range(4000)]).double()
    assert torch.equal(loss.arrived(3), LossyMessages(0.25, 4, 7, torch.full((4,), 0.25)).arrived(3))
    assert not torch.equal(samples, torch.stack([replace(loss, seed=8).arrived(step) for step in range(4000)]).double())
    # four standard deviations of a mean of 4,000 draws, and of the correlation of two workers
    assert samples.mean(0).sub(0.75).abs().max() < 4 * (0.75 * 0.25 / 4000) ** 0.5
    assert torch.corrcoef(samples.T).fill_diagonal_(0).abs().max() < 4 / 4000**0.5


def test_the_mean_is_that_of_the_messages_that_arrive() -> None:
    loss, x_KD = LossyMessages(0.5, 1, 0, WEIGHTS), torch.arange(20.0).reshape(4, 5)
    for arrive in (1, 2, 3):
        step = step_with_losses(loss, arrive)
        rows = loss.arrived(step)
        expected_D = WEIGHTS[rows] @ x_KD[rows] / WEIGHTS[rows].sum()
        channel = channel_at(step, loss)
        torch.testing.assert_close(channel.mean(x_KD, "model"), expected_D)
        packed = channel.packed_mean(x_KD, "model", TopK(0.4), 0)
        torch.testing.assert_close(packed.mean_D, WEIGHTS[rows] @ packed.sent_KD[rows] / WEIGHTS[rows].sum())
        # local states always arrive, and what was lost was sent
        assert torch.equal(channel.mean(x_KD, "state"), channel_at(step, None).mean(x_KD, "state"))
        assert sum(entry.count for entry in channel.ledger.entries) == 3


@pytest.mark.parametrize("server", [Average(), Momentum(momentum=0.9)])
@pytest.mark.parametrize("codec", [None, Int8()])
def test_a_sync_without_a_quorum_does_not_change_model_and_server(server: ServerOptimizer, codec: Codec | None) -> None:
    """All four messages arrive with a probability of 0.0001, and the workers return to the model they began with."""
    loss = LossyMessages(0.9, 4, 0, equal_shares(4))
    assert not any(loss.has_quorum(step) for step in range(1, 13))
    rounds, models = [], []

    def record(event: StepEvent) -> None:
        rounds.append(event.outcome.round)
        models.append(event.outcome.w_KD[0].clone())

    strategy = FedAvg(Fraction(3), server=server, codec=codec)
    lossy = train(strategy, workers=4, steps=12, on_step=record, loss=loss)
    lossless = train(strategy, workers=4, steps=12)
    synced = models[2::3]
    assert len(synced) == 4
    assert all(torch.equal(w_D, synced[0]) for w_D in synced)
    assert torch.equal(rounds[-1].anchor_D, rounds[0].anchor_D)
    torch.testing.assert_close(rounds[-1].server, rounds[0].server, rtol=0, atol=0)
    assert lossy.syncs == lossless.syncs
    assert lossy.entries == lossless.entries
    assert not torch.equal(lossy.w_KD, lossless.w_KD)


def test_a_cell_with_losses_resumes_to_the_same_bits(tmp_path: Path) -> None:
    cell = cell_of(tmp_path, TOPK, "{ probability = 0.4, quorum = 2 }")
    (*stopped, last), whole, resumed = stop_and_resume(cell, tmp_path, [5])
    assert [record.state for record in stopped] == ["interrupted"]
    assert (last.state, last.resumed_at_step) == ("done", 5)
    assert set(resumed) == set(TABLES)
    for name, table in resumed.items():
        pd.testing.assert_frame_equal(table, whole[name], check_exact=True)


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    for loss, output in (
        ("{ probability = 1.0 }", "probability"),
        ("{ probability = -0.1 }", "probability"),
        ("{ probability = 0.1, quorum = 5 }", "quorum: 5 messages, but only workers = 4"),
        ("{ probability = 0.1, quorum = 0 }", "quorum"),
    ):
        with pytest.raises(SuiteError, match=output):
            cell_of(tmp_path, FEDAVG, loss)
