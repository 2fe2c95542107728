"""How a round ends: the one place where drifts are averaged and the global model moves.

Shape suffixes: K = workers of this process, D = parameters.
"""

from collections.abc import Mapping
from math import nan
from typing import NamedTuple

from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.strategy import RESIDUAL, ComponentState, Round, RoundInfo, StepContext, StepResult, SyncRule


class GlobalUpdate(NamedTuple):
    """The next global model, and what it was made of."""

    w_D: Tensor
    """The next global model."""
    u_D: Tensor
    """The mean drift, as it arrived."""
    server: ComponentState
    """The next state of the server optimizer."""
    residual_KD: Tensor | None
    """What the messages have left out so far; None without error feedback."""


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


def global_update(ctx: StepContext, r: Round, rule: SyncRule, channel: Channel) -> GlobalUpdate:
    """Average the drifts of the workers and move the global model.

    With a codec and error feedback (Karimireddy et al., ICML 2019) worker k sends C(m_k), m_k = decay e_k + u_k, and
    keeps e_k = m_k - C(m_k).

    Args:
        ctx: the last step of the round.
        r: the round that ends.
        rule: how it ends.
        channel: records one message of kind `model`.
    """
    u_KD, residual_KD = ctx.w_KD - r.anchor_D, None
    if rule.codec is None:
        u_D = channel.mean(u_KD, "model")
    elif rule.feedback is None:
        u_D = channel.packed_mean(u_KD, "model", rule.codec, r.index).mean_D
    else:
        m_KD = rule.feedback * ctx.worker_state[RESIDUAL] + u_KD
        u_D, sent_KD = channel.packed_mean(m_KD, "model", rule.codec, r.index)
        residual_KD = m_KD - sent_KD
    info = RoundInfo(r.start, ctx.t + 1, ctx.lr_at)
    w_D, server = rule.server.update(r.anchor_D, u_D, r.server, info)
    return GlobalUpdate(w_D, u_D, server, residual_KD)


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
