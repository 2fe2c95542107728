"""The time of a forecast on a fleet, against the time of ledgers and against closed forms."""

from itertools import pairwise

import pytest

from fdabench.accounting.costs import Message
from fdabench.accounting.fleets import Fleet, Links
from fdabench.accounting.step_time import Constant, Exponential, Lognormal
from fdabench.core.strategy import MeansForecast, TrafficForecast
from fdabench.planning.fleet_forecast import MOST_DRAWS, seconds_on_fleet
from fdabench.planning.forecast import Forecast, RunSize

FREE = Links((float("inf"),))


def forecast_of(workers: int, steps: int, syncs: int, states: int = 0, convention: str = "star") -> Forecast:
    traffic = TrafficForecast(syncs, syncs, num_states=states, state_size=1)
    return Forecast(traffic, RunSize(workers, 1000, steps), (), convention, (Message(4000, 4000),), MeansForecast(0, 0))


def test_with_equal_machines_the_time_is_that_of_a_network() -> None:
    found = forecast_of(5, 100, 10, 100)
    equal = Fleet(Constant(), Links((1e6,), (0.01,)))
    assert seconds_on_fleet(found, 10, equal, 0.5) == pytest.approx(found.volume(10).seconds(1e6, 0.01, 0.5))


def test_exponential_steps_with_a_barrier_each_take_the_harmonic_number() -> None:
    found = forecast_of(8, 1000, 0, 1000)
    harmonic = sum(1 / k for k in range(1, 9))
    assert seconds_on_fleet(found, 0, Fleet(Exponential(), FREE), 1.0) == pytest.approx(1000 * harmonic, rel=0.01)


def test_rarer_barriers_and_faster_machines_take_less_time() -> None:
    jitter = Fleet(Lognormal(0.6), FREE)
    times = [seconds_on_fleet(forecast_of(10, 1000, syncs), syncs, jitter, 1.0) for syncs in (1000, 300, 100, 10)]
    assert all(
        slower is not None and faster is not None and slower > faster > 1000 for slower, faster in pairwise(times)
    )
    half = seconds_on_fleet(forecast_of(4, 100, 7), 7, Fleet(Constant(), FREE, speeds=(1, 0.5)), 1.0)
    assert half == pytest.approx(200)


def test_a_segment_that_is_too_large_to_draw_is_not_estimated() -> None:
    steps = MOST_DRAWS // 1000 + 1
    assert seconds_on_fleet(forecast_of(1000, steps, 1), 1, Fleet(Lognormal(0.1), FREE), 1.0) is None
