"""Per-layer FDA: each layer has its own threshold, and is averaged alone."""

from dataclasses import replace
from math import inf

import pytest
import torch
from torch import Tensor

from fdabench.codecs.int8 import Int8
from fdabench.codecs.powersgd import PowerSGD
from fdabench.core.channel import Channel
from fdabench.core.codec import TensorSlice
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import PlannedRun, StepResult
from fdabench.engine.evaluate import model_variance
from fdabench.engine.loop import StepEvent
from fdabench.monitors.naive import Naive
from fdabench.strategies.fda import FDA
from fdabench.strategies.layerwise_fda import LayerwiseFDA, layer_slices
from fdabench.strategies.synchronous import Synchronous
from support.toy import PARAMETERS, STEPS, WORKERS, equal_shares, layout, step_context, train

TWO = (TensorSlice("a.weight", 0, 6, (3, 2)), TensorSlice("a.bias", 6, 9, (3,)), TensorSlice("b", 9, 12, (3,)))


def step(strategy: LayerwiseFDA, w_KD: Tensor) -> tuple[StepResult, Channel]:
    """The first step, from zeros, of a model with the tensors `TWO`."""
    channel = Channel(InProcessCollective(equal_shares(len(w_KD))), Ledger())
    ctx = step_context(0, w_KD)._replace(layout=TWO)
    return strategy.step(ctx, strategy.init(torch.zeros(12)), channel), channel


def test_only_layers_above_their_share_are_averaged() -> None:
    """|u|^2 of 6, 3 and 3 numbers: 0.06 and 0.03 are below 12 * 6 / 12 and 12 * 3 / 12; 4 * 3 is above 3."""
    w_KD = torch.full((2, 12), 0.1)
    w_KD[0, 9:], w_KD[1, 9:] = 2.0, -2.0
    result, channel = step(LayerwiseFDA(theta=12.0), w_KD)
    assert result.synced
    assert torch.equal(result.w_KD[:, :9], w_KD[:, :9])
    assert not result.w_KD[:, 9:].any()
    assert not result.round.anchor_D.any()
    facts = [(entry.kind, entry.payload_bytes) for entry in channel.ledger.entries]
    assert facts == [("state", 4 * 3), ("model", 4 * 3)]


def test_one_message_has_all_layers_that_are_due() -> None:
    w_KD = torch.zeros(2, 12)
    w_KD[:, :6], w_KD[:, 9:] = 3.0, 5.0
    result, channel = step(LayerwiseFDA(theta=1.0), w_KD)
    assert torch.equal(result.round.anchor_D, w_KD[0])
    assert channel.ledger.entries[-1].elements == 9
    assert channel.ledger.entries[-1].count == 1


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(("codec", "feedback"), [(None, None), (Int8(), None), (Int8(), 0.9)])
@pytest.mark.parametrize("theta", [0.03, 0.06, inf])
def test_with_one_layer_layerwise_fda_is_naive_fda(
    theta: float, codec: Int8 | None, feedback: float | None, every: int
) -> None:
    """To the last bit of the estimates, models and residuals; all that differs is the layout."""
    channels = [Channel(InProcessCollective(equal_shares(WORKERS)), Ledger()) for _ in range(2)]
    plain = FDA(theta, Naive(), every, codec=codec, feedback=feedback)
    layerwise = LayerwiseFDA(theta, every, codec=codec, feedback=feedback)
    generator, one_layer = torch.Generator().manual_seed(1), (TensorSlice("w", 0, 50, (5, 10)),)
    w_KD = torch.zeros(WORKERS, 50)
    rounds = [plain.init(w_KD[0]), layerwise.init(w_KD[0])]
    stored = {name: torch.zeros_like(w_KD) for name in plain.rule.worker_state}
    syncs = 0
    for t in range(STEPS):
        w_KD = w_KD + 0.02 * torch.randn(w_KD.shape, generator=generator)
        ctx = step_context(t, w_KD, worker_state=stored)._replace(layout=one_layer)
        ours, expected = (
            strategy.step(ctx, r, channel)
            for strategy, r, channel in zip((layerwise, plain), reversed(rounds), reversed(channels), strict=True)
        )
        assert torch.equal(ours.w_KD, expected.w_KD)
        assert (ours.synced, ours.estimate.hex()) == (expected.synced, expected.estimate.hex())
        rounds, w_KD, syncs = [expected.round, ours.round], ours.w_KD.clone(), syncs + ours.synced
        if expected.worker_state:
            assert torch.equal(ours.worker_state["residual"], expected.worker_state["residual"])
            stored = {**stored, **expected.worker_state}
    assert channels[0].ledger.entries == channels[1].ledger.entries
    assert (syncs > 1) == (theta < inf)


def test_a_very_small_theta_is_synchronous_and_a_very_large_one_never_synchronizes() -> None:
    always, never = train(LayerwiseFDA(-1.0)), train(LayerwiseFDA(inf))
    assert torch.equal(always.w_KD, train(Synchronous()).w_KD)
    assert never.syncs == []
    assert [(entry.kind, entry.count, entry.payload_bytes) for entry in never.entries][1:] == [("state", STEPS, 4 * 4)]


@pytest.mark.parametrize("layers", ["tensors", "modules"])
@pytest.mark.parametrize("theta", [0.03, 0.1])
def test_the_variance_of_the_whole_model_stays_below_theta(theta: float, layers: str) -> None:
    """The sum of the states bounds it at every check, and it is at most theta where no layer is due."""
    partial, collective = [], InProcessCollective(equal_shares(WORKERS))

    def bounded(event: StepEvent) -> None:
        w_KD = event.context.w_KD
        assert model_variance(w_KD, w_KD.mean(0), collective) <= event.outcome.estimate * (1 + 1e-5)
        if event.outcome.synced:
            partial.append(not torch.equal(event.outcome.w_KD[0], event.outcome.w_KD[1]))
        else:
            assert event.outcome.estimate <= theta * (1 + 1e-6)

    train(LayerwiseFDA(theta, layers=layers), on_step=bounded)  # type: ignore[arg-type]
    assert any(partial)


def test_the_ledger_has_the_bytes_of_the_averaged_layers() -> None:
    sent: list[int] = []

    def count(event: StepEvent) -> None:
        if event.outcome.synced:
            changed_D = (event.outcome.w_KD != event.context.w_KD).any(0)
            sent.append(sum(item.stop - item.start for item in layout() if changed_D[item.start : item.stop].any()))

    ran = train(LayerwiseFDA(0.05), on_step=count)
    models = [entry for entry in ran.entries if entry.kind == "model"]
    assert sum(entry.count * entry.payload_bytes for entry in models) == 4 * sum(sent)
    assert 0 < sum(sent) < PARAMETERS * len(sent)


def test_the_weight_and_bias_of_a_module_are_one_layer() -> None:
    assert layer_slices(TWO, "modules") == (slice(0, 9), slice(9, 12))
    assert layer_slices(TWO, "tensors") == (slice(0, 6), slice(6, 9), slice(9, 12))
    assert layer_slices((), "modules") == layer_slices((), "tensors") == ()
    planned = PlannedRun(STEPS, 12, lambda t: 0.2, TWO)
    assert [LayerwiseFDA(1.0, layers=by).forecast_traffic(planned).state_size for by in ("tensors", "modules")] == [
        3,
        2,
    ]


def test_powersgd_and_a_part_of_the_model_are_refused_together() -> None:
    with pytest.raises(ValueError, match="PowerSGD compresses the matrices of the whole model"):
        replace(LayerwiseFDA(1.0), codec=PowerSGD(), feedback=1.0)
