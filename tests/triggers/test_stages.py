"""Scheduled periods: the steps of their syncs, and their identities."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdabench.core.schedule import ON_TIME, count_period_ends, is_period_end, period_delay
from fdabench.core.strategy import PlannedRun
from fdabench.core.trigger import Trigger
from fdabench.optimizers.adam import Adam
from fdabench.optimizers.sgd import SGD
from fdabench.servers.momentum import Momentum
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.presets.stages import StagesStrategy
from fdabench.strategies.rounds import Rounds
from fdabench.triggers.period import Period
from fdabench.triggers.stages import Doubling, Stages
from support.toy import train

BEYOND = Fraction(10**6)
"""A switch that no run reaches."""


def steps(number: float | str) -> Fraction:
    return Fraction(number)


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        # post-local SGD: every step until the switch
        (Stages(steps(5), steps(6)), [1, 2, 3, 4, 5, 11, 17, 23, 29]),
        # a switch within a step belongs to the step that it falls into
        (Stages(steps("9/2"), steps(6)), [1, 2, 3, 4, 5, 11, 17, 23, 29]),
        # the round that begins before the switch gets the longer period
        (Stages(steps(10), steps(8), first=4), [4, 8, 16, 24]),
        # and a shorter one ends it at once
        (Stages(steps(10), steps(3), first=8), [8, 11, 14, 17, 20, 23, 26, 29]),
        (Stages(steps(10), steps(3), first=40), [11, 14, 17, 20, 23, 26, 29]),
        # periods of two and a half steps after the switch
        (Stages(steps(2), steps("5/2"), first=2), [2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30]),
        (Doubling(steps(4)), [1, 2, 3, 4, 6, 8, 12, 28]),
        (Doubling(steps(10), first=2, most=5), [2, 4, 6, 8, 10, 14, 18, 23, 28]),
        (Doubling(steps("7/2"), most=4), [1, 2, 3, 4, 6, 10, 14, 18, 22, 26, 30]),
    ],
    ids=str,
)
def test_syncs_happen_at_the_expected_steps(trigger: Trigger, expected: list[int]) -> None:
    assert train(Rounds(trigger)).syncs == expected


def test_syncs_happen_at_the_steps_of_torchs_post_local_sgd() -> None:
    """PeriodicModelAverager(period=4, warmup_steps=9) averages models after 10, 14, 18, ... steps."""
    assert train(StagesStrategy(Stages(steps(9), steps(4), first=30))).syncs == [10, 14, 18, 22, 26, 30]


ONE_STAGE = {
    "equal periods": (Stages(steps(10), steps(5), first=5), 5),
    "no switch": (Stages(BEYOND, steps(7), first=3), 3),
    "no first stage": (Stages(steps(1), steps("5/2"), first=20), Fraction(5, 2)),
    "no doubling": (Doubling(steps(4), first=3, most=3), 3),
    "doubles later": (Doubling(BEYOND, first=4), 4),
}


@pytest.mark.parametrize(
    "local", [SGD(lr=0.2), SGD(lr=0.1, momentum=0.9), Adam(lr=0.02)], ids=["sgd", "momentum", "adam"]
)
@pytest.mark.parametrize("case", ONE_STAGE)
def test_one_stage_is_fedavg(case: str, local: SGD | Adam) -> None:
    trigger, period = ONE_STAGE[case]
    one, other = train(Rounds(trigger), local=local), train(FedAvg(Fraction(period)), local=local)
    assert torch.equal(one.w_KD, other.w_KD)
    assert one[1:] == other[1:]


def test_scheduled_periods_accept_a_server_like_fedavg() -> None:
    one = train(StagesStrategy(Stages(BEYOND, steps(2), first=4), Momentum()))
    assert torch.equal(one.w_KD, train(FedAvg(Fraction(4), Momentum())).w_KD)
    assert torch.equal(one.w_KD, train(Rounds(Period(Fraction(4)), Momentum())).w_KD)


PERIODS = st.fractions(min_value=Fraction(1, 3), max_value=40, max_denominator=12)
LENGTHS = st.integers(0, 120)


def simulated(trigger: Stages | Doubling, run: int) -> int:
    """The syncs of a run, from a call of the trigger at each step."""
    start, delay, syncs = 0, ON_TIME, 0
    for t in range(run):
        if isinstance(trigger, Stages):
            period = Fraction(trigger.first) if t < trigger.switch else trigger.period
        else:
            period = Fraction(min(trigger.most, trigger.first * 2 ** int(t // trigger.every)))
        actual = period_delay(t + 1 - start, delay, period)
        if actual is not None:
            start, delay, syncs = t + 1, actual, syncs + 1
    return syncs


@given(run=LENGTHS, switch=PERIODS, period=PERIODS, first=st.integers(1, 50))
def test_the_forecast_of_two_stages_counts_the_syncs(run: int, switch: Fraction, period: Fraction, first: int) -> None:
    trigger = Stages(switch, period, first)
    expected = simulated(trigger, run)
    assert trigger.forecast_traffic(PlannedRun(run, 1, lambda t: 0.1))[:2] == (expected, expected)


@given(run=LENGTHS, every=PERIODS, first=st.integers(1, 9), more=st.integers(0, 90))
def test_the_forecast_of_doubling_counts_the_syncs(run: int, every: Fraction, first: int, more: int) -> None:
    trigger = Doubling(every, first, first + more)
    expected = simulated(trigger, run)
    assert trigger.forecast_traffic(PlannedRun(run, 1, lambda t: 0.1))[:2] == (expected, expected)


@given(run=LENGTHS, period=st.fractions(min_value=1, max_value=40, max_denominator=12))
def test_with_one_period_the_delays_are_those_of_a_fixed_grid(run: int, period: Fraction) -> None:
    start, delay = 0, ON_TIME
    for t in range(run):
        actual = period_delay(t + 1 - start, delay, period)
        assert (actual is not None) == is_period_end(t, period)
        if actual is not None:
            start, delay = t + 1, actual
    assert count_period_ends(run, [(Fraction(run), period)]) == run // period


def test_the_syncs_of_a_long_run_are_counted_in_closed_form() -> None:
    """Of 10^9 steps."""
    run = PlannedRun(10**9, 1, lambda t: 0.1)
    assert Stages(steps(10**6), steps(10)).forecast_traffic(run).min_syncs == 10**6 + (10**9 - 10**6) // 10
    assert Doubling(steps(1000)).forecast_traffic(run).min_syncs == 1000 + 500 + 250 + 125 + (10**9 - 4000) // 16


def test_a_first_period_above_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="first: 32 is above most, which is 16"):
        Doubling(steps(10), first=32)
