"""Learning-rate schedules and gradient clipping, against torch and against numbers computed by hand."""

from collections.abc import Callable
from fractions import Fraction
from math import pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from fdabench.engine.workers import Workers
from fdabench.optimizers import OPTIMIZERS, SCHEDULES
from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.base import LocalOptimizer, LRSchedule
from fdabench.optimizers.schedules import ConstantLR, CosineLR, LinearLR, StepLR
from fdabench.optimizers.sgd import SGD
from support.toy import make_workers

T = 20


def factors(schedule: LRSchedule, steps: int = T) -> list[float]:
    return [schedule.factor(t, steps) for t in range(steps)]


def of_torch(build: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, actual = build(optimizer), []
    for _ in range(T):
        actual.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return actual


@pytest.mark.parametrize(
    ("schedule", "build"),
    [
        (CosineLR(), lambda o: lr_scheduler.CosineAnnealingLR(o, T)),
        (CosineLR(final=0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, T, eta_min=0.1)),
        (LinearLR(final=0.25), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.25, T)),
        (StepLR(interval=Fraction(6), gamma=0.5), lambda o: lr_scheduler.StepLR(o, 6, 0.5)),
        (ConstantLR(warmup_steps=4), lambda o: lr_scheduler.LinearLR(o, 0.25, 1.0, 3)),
    ],
)
def test_a_schedule_equals_that_of_torch(schedule: LRSchedule, build: Callable[..., lr_scheduler.LRScheduler]) -> None:
    assert factors(schedule) == pytest.approx(of_torch(build), abs=1e-12)


def test_a_warmup_is_a_share_of_the_budget_or_a_number_of_steps() -> None:
    """Ten steps of 20; the first has a tenth of the learning rate, and the cosine begins at its peak."""
    half = factors(CosineLR(warmup=0.5))
    assert half[:11] == pytest.approx([0.1 * (t + 1) for t in range(10)] + [1.0])
    assert half == factors(CosineLR(warmup_steps=10))
    assert half[15] == pytest.approx(0.5)
    assert factors(LinearLR(warmup=0.5, final=0.2))[15] == pytest.approx(0.6)


def test_an_interval_in_epochs_need_not_be_whole() -> None:
    """An epoch of 187.5 steps: the learning rate falls in steps 188 and 375."""
    schedule = StepLR(interval=Fraction(375, 2), gamma=0.5)
    assert [schedule.factor(t, 500) for t in (187, 188, 374, 375)] == [1.0, 0.5, 0.5, 0.25]


@given(st.sampled_from([ConstantLR, CosineLR, LinearLR]), st.integers(1, 500), st.floats(0, 0.99), st.integers(0, 1000))
def test_a_factor_is_between_0_and_1_at_every_step(
    schedule: Callable[..., LRSchedule], steps: int, warmup: float, t: int
) -> None:
    assert 0 <= schedule(warmup=warmup).factor(t, steps) <= 1


def test_a_warmup_that_is_given_twice_is_refused() -> None:
    for schedule in (ConstantLR, CosineLR, LinearLR):
        with pytest.raises(ValueError, match="both warmup and warmup_steps are given"):
            schedule(warmup=0.1, warmup_steps=3)


def test_every_schedule_is_tested_here() -> None:
    assert set(SCHEDULES.values()) == {ConstantLR, CosineLR, LinearLR, StepLR}


def trained(local: LocalOptimizer, steps: int = T) -> Workers:
    workers = make_workers(range(3), 3, local, torch.float64, steps)
    for _ in range(steps):
        workers.step()
    return workers


@pytest.mark.parametrize("plain", [SGD(lr=0.2, momentum=0.9), Adam(lr=0.02), AdamW(lr=0.02)], ids=OPTIMIZERS)
def test_a_constant_schedule_and_an_unreached_clipping_norm_change_no_bit(plain: SGD | Adam) -> None:
    both = type(plain)(**{**vars(plain), "schedule": ConstantLR(), "clip": 1e9})
    assert torch.equal(trained(both).weights(), trained(plain).weights())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_scheduled_and_clipped_steps_are_those_of_a_plain_loop(name: str) -> None:
    """Each worker by itself, with torch's optimizer, its LambdaLR and its clip_grad_norm_, on the same gradients."""
    clip, schedule = 1.5, CosineLR(warmup=0.25, final=0.1)
    local = OPTIMIZERS[name](lr=0.1, schedule=schedule, clip=clip)  # type: ignore[call-arg]
    workers = make_workers(range(3), 3, local, torch.float64, T)
    rows = [nn.Parameter(w_D.clone()) for w_D in workers.weights()]
    expected = [OPTIMIZERS[name](lr=0.1).build([row]) for row in rows]  # type: ignore[call-arg]
    schedulers = [lr_scheduler.LambdaLR(item, lambda t: schedule.factor(t, T)) for item in expected]
    norms = []
    for _ in range(T):
        workers.backward()
        for row, g_D, optimizer, scheduler in zip(rows, workers.gradients(), expected, schedulers, strict=True):
            row.grad = g_D.clone()
            norms.append(float(nn.utils.clip_grad_norm_([row], clip)))
            optimizer.step()
            scheduler.step()
        workers.update()
    assert min(norms) < clip < max(norms)
    assert (workers.weights() - torch.stack([row.detach() for row in rows])).abs().max() < 1e-12


def test_half_a_cosine_has_a_mean_of_one_half() -> None:
    actual = factors(CosineLR(), 10_000)
    assert sum(actual) / len(actual) == pytest.approx(0.5, abs=1e-4)
    assert min(actual) == pytest.approx((pi / 2 / 10_000) ** 2, rel=1e-2)
