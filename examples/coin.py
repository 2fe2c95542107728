"""A trigger that tosses a coin at each step, as ProxSkip does (Mishchenko et al., 2022)."""

from dataclasses import dataclass
from random import Random

from torch import Tensor

from fdabench import api


@dataclass(frozen=True)
class Coin:
    """Synchronize with probability 1 / mean at each step, so that rounds have `mean` steps on average."""

    mean: api.Count
    seed: api.Seed = 0
    info = api.ComponentInfo(
        formula="sync with probability 1/mean",
        references=("@misc{mishchenko2022, title = {ProxSkip: Yes! Local Gradient Steps Provably Lead to Speedup}}",),
    )

    def init(self, w_D: Tensor) -> tuple[()]:
        return ()

    def check(self, ctx: api.StepContext, r: api.Round, channel: api.Channel) -> api.Decision:
        return api.Decision(self._heads(ctx.t))

    def forecast_traffic(self, run: api.PlannedRun) -> api.TrafficForecast:
        syncs = sum(self._heads(t) for t in range(run.steps))
        return api.TrafficForecast(syncs, syncs)

    def _heads(self, t: int) -> bool:
        """The same in every process: of the seed and the step alone."""
        return Random(f"{self.seed}.{t}").random() < 1 / self.mean


TRIGGERS = {"coin": Coin}
