"""AdaComm: the period follows the training loss (Wang and Joshi, SysML 2019), in the form of Paddle."""

from dataclasses import dataclass
from math import ceil, isfinite, isnan, sqrt
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.strategy import PlannedRun, Round, StepContext, TrafficForecast
from fdabench.core.trigger import Decision
from fdabench.hyperparameters import Count


@dataclass(frozen=True)
class AdaComm:
    """After each sync the next round gets h = ceil(sqrt(first lr_0 f / (lr f_0))) steps, at least 1 and at most `most`.

    f is the mean loss of the workers on their mini-batches, f_0 that of step 1, lr_0 the learning rate of step 1.
    The first sync comes after step `first`. Each worker sends its loss, 4 bytes, at step 1 and at each sync.

    This is Paddle's AdaptiveLocalSGD, with its `most`. It has `first` inside the root, so a constant loss does not keep
    the period. Paddle's default of `first` is 1, which synchronizes at every step while the loss falls at a constant
    learning rate; here there is none. The paper's rule, which also halves the period, is not implemented. The period
    falls with the loss, where QSR and FDA let it grow.
    """

    first: Count
    most: Count = 16
    follows_learning_rate: ClassVar[bool] = True
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="AdaComm",
        formula="h = min(most, ⌈√(τ₁ lr₀ f / (lr f₀))⌉) steps until the next sync",
        references=("wang2019",),
        variant="Paddle's AdaptiveLocalSGD",
    )

    def init(self, w_D: Tensor) -> tuple[int, float]:
        return self.first, 0.0  # when the next sync is due, and f_0

    def check(self, ctx: StepContext, r: Round, channel: Channel) -> Decision:
        due, first_loss = r.trigger
        done = ctx.t + 1
        if done < due and ctx.t > 0:
            return Decision(False, r.trigger)
        loss = float(channel.mean(ctx.loss_K[:, None], "state").item())
        first_loss = loss if ctx.t == 0 else first_loss
        if done < due:
            return Decision(False, (due, first_loss))
        return Decision(True, (done + self._period(ctx, loss, first_loss), first_loss))

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        later = run.steps - self.first
        syncs = (1 + later // self.most, 1 + later) if later >= 0 else (0, 0)
        return TrafficForecast(*syncs, num_states=int(self.first > 1), state_size=1, states_per_sync=1)

    def _period(self, ctx: StepContext, loss: float, first_loss: float) -> int:
        """The steps of the next round.

        Raises:
            ValueError: the local optimizer has no learning rate.
        """
        if isnan(ctx.lr):
            raise ValueError("adacomm needs the learning rate, and this local optimizer has no field `lr`")
        below = ctx.lr * first_loss
        square = self.first * ctx.lr_at(0) * loss / below if below else self.most**2
        # a loss that has diverged says nothing
        return max(1, min(self.most, ceil(sqrt(square)))) if isfinite(square) and square >= 0 else self.most
