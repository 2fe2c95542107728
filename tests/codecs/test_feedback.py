"""Error feedback around codecs, through the strategy that uses them."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from fdabench.codecs import CODECS
from fdabench.codecs.topk import TopK
from fdabench.core.channel import Channel
from fdabench.core.codec import Codec, LinearCodec
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import RESIDUAL
from fdabench.monitors.linear import Linear
from fdabench.strategies import STRATEGIES
from fdabench.strategies.fda import FDA
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.presets.sparseloco import SparseLoCo
from support.toy import WORKERS, equal_shares, step_context, train

EACH = pytest.mark.parametrize(
    "codec", [codec for cls in CODECS.values() if not isinstance(codec := cls(), LinearCodec)], ids=repr
)


def rounds(codec: Codec, feedback: float, u_RKD: Tensor) -> tuple[Tensor, Tensor]:
    """The global model after these drifts, from zero, and the residuals."""
    strategy = FedAvg(Fraction(1), codec=codec, feedback=feedback)
    channel = Channel(InProcessCollective(equal_shares(u_RKD.shape[1])), Ledger())
    r, residual_KD = strategy.init(torch.zeros(u_RKD.shape[2])), torch.zeros(u_RKD.shape[1:])
    for t, u_KD in enumerate(u_RKD):
        ctx = step_context(t, r.anchor_D + u_KD, worker_state={RESIDUAL: residual_KD})
        result = strategy.step(ctx, r, channel)
        assert result.worker_state
        r, residual_KD = result.round, result.worker_state[RESIDUAL]
    return r.anchor_D, residual_KD


@EACH
def test_the_sent_message_plus_the_residual_is_the_input(codec: Codec) -> None:
    """With a decay of 1, sum of sent + mean residual = sum of mean drifts, to the rounding of sums of 12 numbers."""
    u_RKD = torch.randn(12, 3, 500, generator=torch.Generator().manual_seed(1))
    # the second rounding of `recode` is the server's, which keeps nothing
    w_D, residual_KD = rounds(replace(codec, reply="dense"), 1.0, u_RKD)
    assert torch.allclose(w_D + residual_KD.mean(0), u_RKD.mean(1).sum(0), rtol=0, atol=1e-4)


def test_a_residual_is_multiplied_by_the_decay() -> None:
    """Top-k never sends the second number of a worker that has 3 and 1: 1, then 0.5 + 1, then 0.75 + 1."""
    u_RKD = torch.tensor([[[3.0, 1.0]]]).expand(3, -1, -1)
    assert rounds(TopK(0.5), 0.5, u_RKD)[1].tolist() == [[0.0, 1.75]]


def test_a_lossless_codec_leaves_no_residual() -> None:
    u_RKD = torch.randn(4, 3, 500, generator=torch.Generator().manual_seed(2))
    assert rounds(TopK(1.0), 1.0, u_RKD)[1].abs().max() == 0


@pytest.mark.parametrize("feedback", [None, 1.0])
@pytest.mark.parametrize("reply", ["dense", "all"])
@pytest.mark.parametrize("plain", [FedAvg(Fraction(5, 2)), FDA(0.06, Linear())], ids=repr)
def test_topk_of_all_numbers_equals_no_codec_to_the_last_bit(
    plain: FedAvg | FDA, reply: str, feedback: float | None
) -> None:
    whole = train(replace(plain, codec=TopK(1.0, reply), feedback=feedback))
    ran = train(plain)
    assert torch.equal(whole.w_KD, ran.w_KD)
    assert (whole.syncs, whole.estimates, whole.losses) == (ran.syncs, ran.estimates, ran.losses)


@EACH
def test_a_diverging_run_ends_as_it_began_without_an_exception(codec: Codec) -> None:
    """NaN in one worker's model gets into the global model, or into this worker's residual; nothing is raised."""
    u_KD = torch.ones(3, 50)
    u_KD[1] = float("nan")
    w_D, residual_KD = rounds(codec, 1.0, u_KD[None])
    assert w_D.isnan().any()
    assert residual_KD[[0, 2]].isfinite().all()


def test_sparseloco_is_fedavg_with_its_codec_and_feedback() -> None:
    preset = STRATEGIES["sparseloco"](Fraction(5))
    assert preset == SparseLoCo(Fraction(5), codec=CODECS["chunk-topk"](), feedback=0.95)
    ran, plain = train(preset), train(FedAvg(Fraction(5), codec=CODECS["chunk-topk"](), feedback=0.95))
    assert torch.equal(ran.w_KD, plain.w_KD)
    assert ran.entries == plain.entries
    (model,) = [entry for entry in ran.entries if entry.kind == "model"]
    # 64 of the toy's 163 numbers: 8 bits for an index, 2 for a value, and 4 bytes of means
    assert (model.payload_bytes, model.down_bytes) == (84, (WORKERS - 1) * 84)
