"""The quadratic synchronization rule: the steps of its syncs, and its identities."""

import time
from math import inf, nan

import pytest
import torch

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import PlannedRun, TrafficForecast
from fdabench.optimizers.base import LRSchedule, learning_rate
from fdabench.optimizers.schedules import ConstantLR, CosineLR, LinearLR, StepLR
from fdabench.optimizers.sgd import SGD
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.presets.qsr import QSRStrategy
from fdabench.triggers.qsr import QSR
from support.toy import STEPS, WORKERS, equal_shares, step_context, train


def sync_steps(trigger: QSR, steps: int, lr: float, schedule: LRSchedule | None = None) -> list[int]:
    """The steps after which `check` requests a sync; they must equal those of the forecast."""
    local = SGD(lr=lr, schedule=schedule)
    run = PlannedRun(steps, 2, lambda t: learning_rate(local, t, steps))
    w_KD, channel = torch.zeros(WORKERS, 2), Channel(InProcessCollective(equal_shares(WORKERS)), Ledger())
    r = QSRStrategy(trigger).init(w_KD[0])
    actual = []
    for t in range(steps):
        context = step_context(t, w_KD)._replace(steps=steps, lr_at=run.lr_at)
        outcome = QSRStrategy(trigger).step(context, r, channel)
        r = outcome.round
        if outcome.synced:
            actual.append(t + 1)
    assert list(trigger.sync_steps(run)) == actual
    assert trigger.forecast_traffic(run) == TrafficForecast(len(actual), len(actual))
    return actual


COSINE = CosineLR(final=0.01)
"""From 0.1 to 0.001 in the tests below."""


def test_the_rounds_under_a_cosine_schedule() -> None:
    assert sync_steps(QSR(0.2, least=2), 60, 0.1, COSINE) == [4, 8, 12, 16, 21, 28, 40, 60]


def test_the_rounds_with_power_1() -> None:
    until_24 = list(range(2, 25, 2))
    assert sync_steps(QSR(0.2, least=2, power=1.0), 60, 0.1, COSINE) == [*until_24, 27, 30, 33, 37, 43, 53, 60]


def test_a_rate_below_every_learning_rate_gives_the_smallest_period() -> None:
    assert sync_steps(QSR(1e-9, least=4), 20, 0.1, COSINE) == [4, 8, 12, 16, 20]


def test_the_published_volume_of_vit_b_is_exact() -> None:
    """Gu et al. report about 10 % of the syncs: 300 epochs of 312 steps, 10,000 of warm-up, a peak of 0.008."""
    steps, local = 300 * 312, SGD(lr=0.008, schedule=CosineLR(warmup_steps=10_000))
    start = time.perf_counter()
    traffic = QSR(0.0175, least=4).forecast_traffic(PlannedRun(steps, 2, lambda t: learning_rate(local, t, steps)))
    assert traffic.min_syncs == traffic.max_syncs == 9711
    assert traffic.min_syncs / steps == 0.10375
    assert time.perf_counter() - start < 5  # a warm-up is not walked through at each sync


def test_during_a_warm_up_the_period_is_that_of_its_peak() -> None:
    """At the learning rates of the warm-up itself, 0.01 and above, the first round would have 400 steps."""
    warm = sync_steps(QSR(0.2, least=2), 60, 0.1, CosineLR(final=0.01, warmup_steps=10))
    assert warm[:3] == [4, 8, 12]
    assert sync_steps(QSR(0.2), 40, 0.1, ConstantLR(warmup_steps=20)) == list(range(4, 41, 4))


def test_after_a_drop_of_the_learning_rate_the_period_changes_at_the_next_sync() -> None:
    """From 0.1 to 0.05 at step 10: the round that begins at 8 keeps its 4 steps."""
    assert sync_steps(QSR(0.2), 60, 0.1, StepLR(interval=10, gamma=0.5))[:4] == [4, 8, 12, 28]


def test_without_a_learning_rate_the_rest_of_the_budget_is_one_round() -> None:
    assert sync_steps(QSR(0.2), 30, 0.0) == [30]
    assert sync_steps(QSR(1e300, power=5.0), 30, 0.1) == [30]  # the power overflows
    assert sync_steps(QSR(1e300), 30, 1e-300) == [30]


def test_periods_never_fall_while_the_learning_rate_falls() -> None:
    for schedule in (COSINE, LinearLR(final=0.01), StepLR(interval=50, gamma=0.5)):
        steps = sync_steps(QSR(0.3, least=2), 300, 0.1, schedule)
        lengths = [stop - start for start, stop in zip([0, *steps], steps, strict=False)]
        assert lengths[:-1] == sorted(lengths[:-1])
        assert steps[-1] == 300


@pytest.mark.parametrize("local", [SGD(lr=0.2), SGD(lr=0.2, schedule=COSINE), SGD(lr=0.2, momentum=0.9)], ids=str)
def test_qsr_with_its_smallest_period_only_is_fedavg(local: SGD) -> None:
    assert STEPS % 5 == 0
    one, other = train(QSRStrategy(QSR(1e-9, least=5)), local=local), train(FedAvg(5), local=local)
    assert torch.equal(one.w_KD, other.w_KD)
    assert one.entries == other.entries


def test_qsr_at_a_constant_learning_rate_is_fedavg() -> None:
    """(0.5 / 0.2)^2 = 6.25; 7.5 leaves a last round that the end cuts short."""
    one, other = train(QSRStrategy(QSR(0.5, least=2))), train(FedAvg(6))
    assert torch.equal(one.w_KD, other.w_KD)
    assert one.entries == other.entries
    assert train(QSRStrategy(QSR(0.2 * 7.5**0.5, least=2))).syncs == [7, 14, 21, 28, 30]


def test_an_optimizer_without_a_learning_rate_is_refused() -> None:
    run = PlannedRun(STEPS, 2, lambda t: nan)
    with pytest.raises(ValueError, match=r"qsr needs the learning rate, and this local optimizer has no field `lr`"):
        QSR(0.2).forecast_traffic(run)
    w_KD, channel = torch.zeros(WORKERS, 2), Channel(InProcessCollective(equal_shares(WORKERS)), Ledger())
    strategy = QSRStrategy(QSR(0.2))
    with pytest.raises(ValueError, match="no field `lr`"):
        strategy.step(step_context(0, w_KD)._replace(lr_at=run.lr_at), strategy.init(w_KD[0]), channel)


def test_an_infinite_learning_rate_gives_the_smallest_period() -> None:
    assert sync_steps(QSR(0.2, least=3), 9, inf) == [3, 6, 9]
