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

    def init(self, w_D: Tensor) -> api.Round:
        return api.initial_round(w_D, self.server)

    def step(self, t: int, w_KD: Tensor, r: api.Round, channel: api.Channel) -> api.StepResult:
        u_KD = w_KD - r.anchor_D
        outside_K1 = (api.row_squared_norms(u_KD)[:, None] > self.theta).to(u_KD.dtype)
        if channel.mean(outside_K1, "state").item() == 0:  # nobody is outside
            return api.StepResult(w_KD, r, False)
        return api.synchronize(w_KD, r, self.server, channel)

    def forecast_traffic(self, steps: int, num_parameters: int) -> api.TrafficForecast:
        return api.TrafficForecast(0, steps, num_states=steps, state_size=1)


STRATEGIES = {"kamp": Kamp}
