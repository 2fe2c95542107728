"""Streaming DiLoCo: one fragment of the model at a time, while the workers go on (Douillard et al., 2025)."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.codec import AnyCodec
from fdabench.core.schedule import FragmentSchedule, fragment_slices
from fdabench.core.strategy import (
    RESIDUAL,
    PlannedRun,
    Round,
    ServerOptimizer,
    StepContext,
    StepResult,
    SyncRule,
    TrafficForecast,
)
from fdabench.core.sync import global_update, initial_round
from fdabench.hyperparameters import Decay, FeedbackDecay, Steps
from fdabench.servers.nesterov import Nesterov


@dataclass(frozen=True)
class StreamingDiLoCo:
    """Average one fragment of the model after every period / fragments local steps, each fragment once a period.

    The mean of step t arrives `delay` steps later, so that its message may overlap these steps. Then
    w_k[p] <- merge w_k[p] + (1 - merge) w[p]. A period costs as many bytes as with DiLoCo, in smaller messages.

    Fragments are consecutive parts of the row, of equal length; the paper's are groups of layers. A message that would
    arrive after the budget is not sent. `delay` and `merge` are 0 by default, as in torchft; the paper merges by half.
    """

    period: Steps
    fragments: Annotated[int, Ge(1), Le(10_000)]
    delay: Annotated[int, Ge(0), Le(10_000)] = 0
    merge: Decay = 0.0
    server: ServerOptimizer = Nesterov()
    codec: AnyCodec | None = None
    feedback: FeedbackDecay | None = None
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Streaming DiLoCo",
        formula="after every τ/P local steps w[p] ← server(w[p], ū[p]), which arrives d steps later",
        references=("douillard2025",),
        color="#8E63CE",
        marker=">",
        variant="fragments of equal length",
    )

    def __post_init__(self) -> None:
        _ = self.rule  # refuses parts that do not make sense together
        interval = self.schedule.interval
        if self.delay + 1 > interval:
            raise ValueError(
                f"delay: {self.delay} local steps, and a fragment is due after every {float(interval):g}; at most "
                f"{int(interval) - 1} are allowed, so that a fragment arrives before the next one is sent"
            )

    @property
    def rule(self) -> SyncRule:
        return SyncRule(self.server, self.codec, self.feedback, fragments=self.fragments, delay=self.delay)

    @property
    def schedule(self) -> FragmentSchedule:
        return FragmentSchedule(self.period, self.fragments)

    def init(self, w_D: Tensor) -> Round:
        server = tuple(self.server.init(w_D[part]) for part in fragment_slices(len(w_D), self.fragments))
        # the trigger's state is the next global model, with what has not arrived yet
        return replace(initial_round(w_D, self.rule, trigger=w_D), server=server)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        due, arrived = self.schedule.due(ctx.t), self.schedule.due(ctx.t - self.delay)
        residual_KD = None
        if due is not None and ctx.t + self.delay < ctx.steps:
            r, residual_KD = self._send(due, ctx, r, channel)
        changed = None if residual_KD is None else {RESIDUAL: residual_KD}
        if arrived is None:
            return StepResult(ctx.w_KD, r, False, worker_state=changed)
        part, w_KD, next_D = fragment_slices(len(r.anchor_D), self.fragments)[arrived], ctx.w_KD.clone(), r.trigger
        w_KD[:, part] = self.merge * w_KD[:, part] + (1 - self.merge) * next_D[part] if self.merge else next_D[part]
        r = replace(r, anchor_D=next_D, previous_anchor_D=r.anchor_D, index=r.index + 1, start=ctx.t + 1)
        return StepResult(w_KD, r, True, worker_state=changed)

    def _send(self, due: int, ctx: StepContext, r: Round, channel: Channel) -> tuple[Round, Tensor | None]:
        """Average the drifts of a fragment, and put it into the next global model; also the residuals."""
        part, states = fragment_slices(len(r.anchor_D), self.fragments)[due], list(r.server)
        fragment_round = replace(r, server=states[due], start=self.schedule.start(ctx.t))
        update = global_update(ctx, fragment_round, self.rule, channel, part)
        states[due], next_D = update.server, r.trigger.clone()
        next_D[part] = update.w_D
        return replace(r, server=tuple(states), trigger=next_D), update.residual_KD

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        syncs = self.schedule.count(run.steps - self.delay)
        return TrafficForecast(syncs, syncs)
