"""Two quadratics whose fixed points are known in closed form and differ between all corrections.

f_k = a_k (w - b_k)^2 / 2 with a = (1, 10), b = (-1, 3): the optimum of their mean is sum a b / sum a = 29 / 11. Five
steps of SGD shrink the distance to b_k by rho_k = (1 - lr a_k)^5, so FedAvg stands still where the mean drift is 0, at
sum (1 - rho_k) b_k / sum (1 - rho_k). A server optimizer moves the model by 0 there, so it does not change that point.
"""

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import HasSyncRule, StepContext, Strategy
from fdabench.corrections import CORRECTIONS
from fdabench.corrections.averaged import Averaged
from fdabench.corrections.dyn import Dyn
from fdabench.corrections.prox import Prox
from fdabench.corrections.scaffold import CONTROL, GRADIENT_SUM, Scaffold
from fdabench.optimizers.adam import Adam
from fdabench.optimizers.sgd import SGD
from fdabench.servers.momentum import Momentum
from fdabench.servers.nesterov import Nesterov
from fdabench.servers.slowmo import SlowMo
from fdabench.strategies.ddp import DDP
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.presets.feddyn import FedDyn
from support.toy import equal_shares

A_K1 = torch.tensor([[1.0], [10.0]], dtype=torch.float64)
B_K1 = torch.tensor([[-1.0], [3.0]], dtype=torch.float64)
LR, STEPS, PERIOD = 0.05, 3000, Fraction(5)
RHO_K1 = (1 - LR * A_K1) ** 5
FEDAVG = float(((1 - RHO_K1) * B_K1).sum() / (1 - RHO_K1).sum())
OPTIMUM = float((A_K1 * B_K1).sum() / A_K1.sum())


class Descent:
    """Plain SGD of both workers under a strategy, as the engine runs it."""

    def __init__(self, strategy: Strategy) -> None:
        assert isinstance(strategy, HasSyncRule)
        self.strategy, self.rule = strategy, strategy.rule
        self.w_KD = torch.zeros(2, 1, dtype=torch.float64)
        self.r = strategy.init(self.w_KD[0].clone())
        self.stored = {name: torch.zeros_like(self.w_KD) for name in self.rule.worker_state}
        self.channel = Channel(InProcessCollective(equal_shares(2, torch.float64)), Ledger())

    def step(self, t: int, lr: float = LR) -> None:
        def context(g_KD: Tensor) -> StepContext:
            return StepContext(t, self.w_KD, g_KD, torch.zeros(2), STEPS, lambda t: lr, self.stored, ())

        self.channel.ledger.step = t + 1
        g_KD = A_K1 * (self.w_KD - B_K1)
        if self.rule.correction is not None:
            corrected = self.rule.correction.correct(context(g_KD), self.r, self.channel)
            g_KD, self.stored = corrected.g_KD, {**self.stored, **(corrected.worker_state or {})}
        self.w_KD = self.w_KD - lr * g_KD
        outcome = self.strategy.step(context(g_KD), self.r, self.channel)
        if outcome.synced:
            self.w_KD = outcome.w_KD.clone()
        self.r, self.stored = outcome.round, {**self.stored, **(outcome.worker_state or {})}


def descend(strategy: Strategy, steps: int = STEPS) -> Descent:
    actual = Descent(strategy)
    for t in range(steps):
        actual.step(t)
    return actual


FIXED_POINTS: list[tuple[Any, float]] = [
    (FedAvg(PERIOD), FEDAVG),
    (FedAvg(PERIOD, Momentum(lr=1.0, momentum=0.9)), FEDAVG),
    (FedAvg(PERIOD, Nesterov()), FEDAVG),
    (FedAvg(PERIOD, SlowMo()), FEDAVG),
    (FedAvg(PERIOD, correction=Prox(0.0)), FEDAVG),
    (FedAvg(PERIOD, correction=Prox(0.1)), 2.2437527),
    (FedAvg(PERIOD, correction=Prox(1.0)), 2.2534482),
    (FedAvg(PERIOD, correction=Prox(10.0)), 2.3942513),
    (FedAvg(PERIOD, correction=Scaffold("drift")), OPTIMUM),
    (FedAvg(PERIOD, correction=Scaffold("gradient")), OPTIMUM),
    (FedDyn(PERIOD, correction=Dyn(0.1)), OPTIMUM),
    (FedDyn(PERIOD, correction=Dyn(1.0)), OPTIMUM),
    (FedDyn(PERIOD, correction=Dyn(5.0)), OPTIMUM),
    (FedAvg(PERIOD, correction=Averaged()), OPTIMUM),
    (DDP(), OPTIMUM),
]


def test_every_correction_has_a_fixed_point_here() -> None:
    assert {type(strategy.rule.correction) for strategy, _ in FIXED_POINTS} - {type(None)} == set(CORRECTIONS.values())


@pytest.mark.parametrize(("strategy", "fixed_point"), FIXED_POINTS, ids=repr)
def test_each_method_ends_at_its_fixed_point(strategy: Strategy, fixed_point: float) -> None:
    assert pytest.approx(2.2427618, abs=1e-7) == FEDAVG
    steps = 3 * STEPS if isinstance(strategy, FedDyn) else STEPS
    assert descend(strategy, steps).r.anchor_D.item() == pytest.approx(fixed_point, abs=1e-6)


@pytest.mark.parametrize("of", ["drift", "gradient"])
def test_the_control_variates_of_scaffold_are_the_gradients_at_the_optimum(of: str) -> None:
    """a_k (w* - b_k) = 40/11 and -40/11, whose mean is 0."""
    actual = descend(FedAvg(PERIOD, correction=Scaffold(of)))  # type: ignore[arg-type]
    assert actual.stored[CONTROL].flatten().tolist() == pytest.approx([40 / 11, -40 / 11], abs=1e-6)
    assert actual.r.correction.item() == pytest.approx(0.0, abs=1e-9)


def test_the_global_control_variate_is_the_mean_of_the_workers() -> None:
    """At every step, as all workers take part in every round."""
    actual = Descent(FedAvg(PERIOD, correction=Scaffold("gradient")))
    for t in range(40):
        actual.step(t)
        assert actual.r.correction.item() == pytest.approx(actual.stored[CONTROL].mean().item(), abs=1e-12)
        if (t + 1) % 5 == 0:
            assert not actual.stored[GRADIENT_SUM].any()


def test_both_options_of_scaffold_agree_under_plain_sgd_and_a_changing_learning_rate() -> None:
    """Of one step a round they are the same formula; of more, the drift weighs gradients by their learning rates."""
    by_drift, by_gradient = (Descent(FedAvg(Fraction(1), correction=Scaffold(of))) for of in ("drift", "gradient"))
    for t in range(60):
        for item in (by_drift, by_gradient):
            item.step(t, LR / (1 + t))
        assert by_drift.w_KD.tolist() == [pytest.approx(row, abs=1e-9) for row in by_gradient.w_KD.tolist()]


def test_scaffold_sends_twice_the_bytes_of_the_model() -> None:
    entries = descend(FedAvg(PERIOD, correction=Scaffold()), 50).channel.ledger.entries
    assert [(entry.kind, entry.count, entry.payload_bytes) for entry in entries] == [
        ("model", 10, 8),
        ("control", 10, 8),
    ]


def test_the_proximal_gradient_is_mu_times_the_drift() -> None:
    """Not a vector of constant length, as an unsquared norm in the loss would give."""
    actual = Descent(FedAvg(PERIOD, correction=Prox(0.5)))
    context = StepContext(3, torch.tensor([[3.0], [-4.0]]), torch.ones(2, 1), torch.zeros(2), 9, lambda t: LR, {}, ())
    g_KD = Prox(0.5).correct(context, actual.r, actual.channel).g_KD
    assert g_KD.tolist() == [[2.5], [-1.0]]


def test_a_pull_of_lr_mu_one_returns_to_the_anchor_at_each_step() -> None:
    """w <- w - lr (g + mu (w - anchor)) = anchor - lr g."""
    actual = Descent(FedAvg(Fraction(100), correction=Prox(1 / LR)))
    for t in range(6):
        g_K1 = A_K1 * (actual.w_KD - B_K1)
        actual.step(t)
        assert torch.allclose(actual.w_KD, actual.r.anchor_D - LR * g_K1, rtol=0, atol=1e-12)


def test_a_pull_that_diverges_is_refused() -> None:
    """The distance from the anchor is multiplied by 1 - lr mu in each step."""
    assert Prox(20.0).incompatibility(SGD(lr=0.1)) == ""
    assert Prox(21.0).incompatibility(Adam(lr=0.1)) == ""
    output = Prox(21.0).incompatibility(SGD(lr=0.1))
    assert output.startswith("correction prox with mu = 21 diverges with SGD of lr = 0.1")
    assert output.endswith("take mu <= 20")
    actual = Descent(FedAvg(Fraction(100), correction=Prox(2.2 / LR)))
    for t in range(40):
        actual.step(t)
    assert actual.w_KD.abs().max() > 100
