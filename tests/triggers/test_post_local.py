"""Post-local SGD in both published forms: models, or gradients, are averaged at each step before the switch."""

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from fdabench.core.strategy import PlannedRun
from fdabench.corrections.averaged import Averaged
from fdabench.engine.loop import StepEvent
from fdabench.optimizers.adam import Adam
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD
from fdabench.strategies.ddp import DDP
from fdabench.strategies.presets.stages import StagesStrategy
from fdabench.triggers.stages import Stages
from support.toy import STEPS, train

SWITCH = 9
OF_MODELS = StagesStrategy(Stages(Fraction(SWITCH), Fraction(4)))
OF_GRADIENTS = StagesStrategy(
    Stages(Fraction(SWITCH), Fraction(4), first=STEPS), correction=Averaged(until=Fraction(SWITCH))
)
LOCALS = {"sgd": SGD(lr=0.2), "momentum": SGD(lr=0.1, momentum=0.9), "adam": Adam(lr=0.02)}
MOMENTUM_AND_ADAM = {kind: LOCALS[kind] for kind in ("momentum", "adam")}


def models(strategy: StagesStrategy | DDP, local: LocalOptimizer) -> list[Tensor]:
    """The models of the workers after each step and its sync, in float64."""
    actual: list[Tensor] = []

    def see(moment: StepEvent) -> None:
        actual.append((moment.outcome.w_KD if moment.outcome.synced else moment.context.w_KD).clone())

    train(strategy, local=local, dtype=torch.float64, on_step=see)
    return actual


@pytest.mark.parametrize("local", LOCALS)
def test_post_local_sgd_equals_ddp_until_the_switch_and_then_workers_differ(local: str) -> None:
    ours, ddp = models(OF_GRADIENTS, LOCALS[local]), models(DDP(), LOCALS[local])
    assert all(torch.allclose(ours[t], ddp[t], rtol=0, atol=1e-13) for t in range(SWITCH))
    assert not torch.equal(ours[SWITCH + 1][0], ours[SWITCH + 1][1])


def test_with_sgd_averaging_models_equals_averaging_gradients() -> None:
    one, other = (models(strategy, LOCALS["sgd"]) for strategy in (OF_GRADIENTS, OF_MODELS))
    assert (one[SWITCH - 1] - other[SWITCH - 1]).abs().max() < 1e-12


@pytest.mark.parametrize("local", MOMENTUM_AND_ADAM)
def test_with_local_optimizer_states_averaging_models_differs_from_averaging_gradients(local: str) -> None:
    """At the end; with momentum the models are equal until the switch, but the states of the workers are not."""
    one, other = (models(strategy, LOCALS[local]) for strategy in (OF_GRADIENTS, OF_MODELS))
    assert (one[-1] - other[-1]).abs().max() > 1e-4


def test_gradients_are_sent_until_the_switch_and_models_after_it() -> None:
    ran = train(OF_GRADIENTS)
    sent = {kind: sum(entry.count for entry in ran.entries if entry.kind == kind) for kind in ("gradient", "model")}
    assert ran.syncs == [10, 14, 18, 22, 26, 30]
    assert sent == {"gradient": SWITCH, "model": len(ran.syncs)}
    run = PlannedRun(STEPS, 1, lambda t: 0.2)
    assert OF_GRADIENTS.forecast_traffic(run)[:2] == (len(ran.syncs), len(ran.syncs))
    assert OF_GRADIENTS.correction is not None
    assert OF_GRADIENTS.correction.forecast_means(run) == (SWITCH, 0)


@pytest.mark.parametrize(("until", "sent"), [(None, 30), ("17/2", 9), ("9", 9), ("500", 30)])
def test_the_forecast_counts_the_steps_before_the_switch(until: str | None, sent: int) -> None:
    correction = Averaged(until=None if until is None else Fraction(until))
    assert correction.forecast_means(PlannedRun(30, 1, lambda t: 0.2)) == (sent, 0)
