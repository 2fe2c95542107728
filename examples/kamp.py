"""Dynamic averaging by local conditions (Kamp et al., 2018): sync as soon as one worker leaves its ball."""

from dataclasses import dataclass

from torch import Tensor

from fdabench import api


@dataclass(frozen=True)
class Kamp:
    """Var(w_t) <= max_k |u_k|^2, so |u_k|^2 <= theta for all k keeps FDA's round invariant."""

    theta: api.Threshold
    server: api.ServerOptimizer = api.Average()
    info = api.ComponentInfo(
        formula="sync once ‖u_k‖² > θ at one worker",
        references=("@misc{kamp2018, title = {Efficient Decentralized Deep Learning by Dynamic Model Averaging}}",),
    )

    @property
    def rule(self) -> api.SyncRule:
        return api.SyncRule(self.server)

    def init(self, w_D: Tensor) -> api.Round:
        return api.initial_round(w_D, self.rule)

    def step(self, ctx: api.StepContext, r: api.Round, channel: api.Channel) -> api.StepResult:
        u_KD = ctx.w_KD - r.anchor_D
        outside_K1 = (api.row_squared_norms(u_KD)[:, None] > self.theta).to(u_KD.dtype)
        if channel.mean(outside_K1, "state").item() == 0:  # nobody is outside
            return api.StepResult(ctx.w_KD, r, False)
        return api.synchronize(ctx, r, self.rule, channel)

    def forecast_traffic(self, run: api.PlannedRun) -> api.TrafficForecast:
        return api.TrafficForecast(0, run.steps, num_states=run.steps, state_size=1)


STRATEGIES = {"kamp": Kamp}
