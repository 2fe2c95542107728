"""How a round ends: the one place where drifts are averaged and the global model moves.

Shape suffixes: K = workers of this process, D = parameters.
"""

from collections.abc import Mapping
from itertools import chain, repeat
from math import nan
from typing import Final, NamedTuple

import torch
from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.codec import AnyCodec, LinearCodec, LinearMean
from fdabench.core.counter_rng import derive_key
from fdabench.core.strategy import RESIDUAL, ComponentState, Round, RoundInfo, StepContext, StepResult, SyncRule

WHOLE: Final = slice(None)
"""The part of a row that is all of it."""


class GlobalUpdate(NamedTuple):
    """The next global model, and what it was made of."""

    w_D: Tensor
    """The next global model; only the averaged part of it."""
    u_D: Tensor
    """The mean drift of that part, as it arrived."""
    server: ComponentState
    """The next state of the server optimizer."""
    residual_KD: Tensor | None
    """What the messages have left out so far, shape [K, D]; None without error feedback."""
    codec: ComponentState = ()
    """The next state of a `LinearCodec`."""


def initial_round(w_D: Tensor, rule: SyncRule, trigger: ComponentState = ()) -> Round:
    """The first round of a strategy.

    Args:
        w_D: the model that all workers start from, shape [D].
        rule: how the strategy's rounds end.
        trigger: the first state of what decides when to synchronize.
    """
    return Round(
        w_D,
        w_D,
        rule.server.init(w_D),
        server_owns_model=rule.codec is not None or not rule.server.is_plain_average,
        correction=() if rule.correction is None else rule.correction.init(w_D),
        trigger=trigger,
    )


def global_update(
    ctx: StepContext, r: Round, rule: SyncRule, channel: Channel, part: slice | Tensor = WHOLE
) -> GlobalUpdate:
    """Average the drifts of the workers and move the global model, or a part of it.

    With a codec and error feedback (Karimireddy et al., ICML 2019) worker k sends C(m_k), m_k = decay e_k + u_k, and
    keeps e_k = m_k - C(m_k).

    Args:
        ctx: the last step of the round.
        r: the round that ends. For a part, `r.server` is the server's state of this part alone.
        rule: how it ends.
        channel: records one message of kind `model`.
        part: the numbers of a row to average: a slice, or their indices. The others keep their residuals.
    """
    anchor_D = r.anchor_D[part]
    u_KD, residual_KD, codec_state = channel.normalize(ctx.w_KD[:, part] - anchor_D, r.start), None, r.codec
    if rule.codec is None:
        u_D = channel.mean(u_KD, "model", rule.delay)
    elif rule.feedback is None:
        u_D, _, codec_state = _encoded_mean(u_KD, ctx, r, rule.codec, channel, rule.delay)
    else:
        m_KD = u_KD.add_(rule.feedback * ctx.worker_state[RESIDUAL][:, part])
        u_D, sent_KD, codec_state = _encoded_mean(m_KD, ctx, r, rule.codec, channel, rule.delay)
        residual_KD = _replace_part(ctx.worker_state[RESIDUAL], part, m_KD.sub_(sent_KD))
    if not channel.has_quorum:
        # the messages were sent, and residuals say so, but the model and the server stay as they are
        return GlobalUpdate(anchor_D, torch.zeros_like(u_D), r.server, residual_KD, r.codec)
    info = RoundInfo(r.start, ctx.t + 1, ctx.lr_at, channel.client_share)
    w_D, server = rule.server.update(anchor_D, u_D, r.server, info)
    return GlobalUpdate(w_D, u_D, server, residual_KD, codec_state)


def _encoded_mean(
    m_KD: Tensor, ctx: StepContext, r: Round, codec: AnyCodec, channel: Channel, slack: int
) -> LinearMean:
    """The mean of what the workers send through a codec, what each message says, and the codec's next state."""
    if not isinstance(codec, LinearCodec):
        mean_D, sent_KD = channel.packed_mean(m_KD, "model", codec, r.index, slack)
        return LinearMean(mean_D, sent_KD, r.codec)
    # the first of its messages at a sync is of kind `model`, so that messages of this kind are as many as syncs
    kinds = chain(["model"], repeat("factor"))
    state = r.codec or codec.init(ctx.layout, derive_key(torch.tensor(channel.seed, device=m_KD.device), r.index))
    return codec.average(m_KD, ctx.layout, state, lambda x_KN: channel.mean(x_KN, next(kinds), slack))


def _replace_part(x_KD: Tensor, part: slice | Tensor, value_KD: Tensor) -> Tensor:
    if part is WHOLE:
        return value_KD
    x_KD = x_KD.clone()
    x_KD[:, part] = value_KD
    return x_KD


def end_round(
    ctx: StepContext,
    r: Round,
    rule: SyncRule,
    channel: Channel,
    update: GlobalUpdate,
    estimate: float = nan,
    theta: float = nan,
    trigger: ComponentState = (),
) -> StepResult:
    """Assign the next global model to all workers, and begin the next round.

    Args:
        update: what `global_update` made of the round.
        estimate: the monitor's bound of the model variance, if one was evaluated.
        theta: the threshold that it was compared with.
        trigger: the state of what decides when to synchronize, in the next round.
    """
    worker_state: Mapping[str, Tensor] = {} if update.residual_KD is None else {RESIDUAL: update.residual_KD}
    correction = r.correction
    if rule.correction is not None:
        correction, changed = rule.correction.end_round(ctx, r, channel)
        worker_state = {**worker_state, **changed}
    following = Round(
        update.w_D,
        r.anchor_D,
        update.server,
        r.index + 1,
        r.server_owns_model,
        ctx.t + 1,
        correction,
        trigger,
        update.codec,
    )
    return StepResult(update.w_D.expand_as(ctx.w_KD), following, True, estimate, theta, worker_state or None)


def synchronize(
    ctx: StepContext,
    r: Round,
    rule: SyncRule,
    channel: Channel,
    estimate: float = nan,
    theta: float = nan,
    trigger: ComponentState = (),
) -> StepResult:
    """End the round: average the drifts, update the global model, and assign it to all workers.

    Args:
        ctx: the step that the workers just made.
        r: the round that ends.
        rule: the server optimizer, codec, feedback and correction.
        channel: records one message of kind `model`, and those of the correction.
        estimate, theta, trigger: as in `end_round`.

    Returns:
        The result that `Strategy.step` returns, with the next round.
    """
    return end_round(ctx, r, rule, channel, global_update(ctx, r, rule, channel), estimate, theta, trigger)
