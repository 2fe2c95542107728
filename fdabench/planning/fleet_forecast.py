"""Estimates the time of a run on a fleet from its forecast, before there is a ledger.

`fdabench plan --fleet` and `fdabench plan --extrapolate` use it. `accounting.fleets` computes the time of a run that
has a ledger. A forecast only has the number of collectives, so this module assumes that the steps at which workers
communicate are equally spaced. The time of a segment between two of them is that of its slowest worker, and its mean is
estimated from drawn segments with `_DRAWS` step times in total. A collective with slack counts as a barrier, so the
time of FDA with `lag` is an upper bound.
"""

import math

import numpy as np

from fdabench.accounting.fleets import Fleet, segment_times
from fdabench.accounting.network_time import sequential_messages
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.planning.forecast import Forecast, forecast, run_size
from fdabench.planning.memory import BYTES_PER_NUMBER

_DRAWS = 1 << 21
"""The number of step times that are drawn for an estimate."""
MOST_DRAWS = 1 << 25
"""A segment with more step times than this is not estimated, because drawing them would take many seconds."""
_SEED = 0
"""The seed of the step times, so that an estimate is the same each time."""


def seconds_on_fleet(prediction: Forecast, syncs: int, fleet: Fleet, step_s: float) -> float | None:
    """Return the seconds of a run with barriers, or None if a segment has more than `MOST_DRAWS` step times.

    Args:
        prediction: the forecast of the run.
        syncs: the number of syncs.
        fleet: the machines and the links between them.
        step_s: the mean seconds of a local step at speed 1.
    """
    steps = prediction.size.steps
    barriers = min(max(prediction.traffic.num_states, syncs, 1), steps)
    slowest = _slowest_segment(fleet, prediction.size.workers, steps / barriers, step_s)
    return None if slowest is None else barriers * slowest + _communication(prediction, syncs, fleet)


def planned_seconds(cell: ResolvedCell, convention: str, fleet: Fleet, step_s: float) -> tuple[float, float] | None:
    """Return the seconds of a cell on a fleet with the fewest and with the most syncs that its strategy may make.

    Args:
        cell: the cell, at its size in the suite.
        convention: a key of `accounting.costs.CONVENTIONS`.
        fleet: the machines and the links between them.
        step_s: the mean seconds of a local step at speed 1.

    Returns:
        The seconds; None for a strategy without `forecast_traffic`, or where `seconds_on_fleet` returns None.
    """
    prediction = forecast(cell, run_size(cell), convention)
    if prediction is None:
        return None
    least = seconds_on_fleet(prediction, prediction.traffic.min_syncs, fleet, step_s)
    most = seconds_on_fleet(prediction, prediction.traffic.max_syncs, fleet, step_s)
    return None if least is None or most is None else (least, most)


def _slowest_segment(fleet: Fleet, workers: int, length: float, step_s: float) -> float | None:
    """Return the mean seconds of the slowest worker between two barriers that are `length` local steps apart."""
    longest = math.ceil(length)
    if longest * workers > MOST_DRAWS:
        return None
    segments = max(int(_DRAWS / (longest * workers)), 1)
    # `length` may be fractional: segments have whole lengths that differ by at most one step and have this mean
    ends = np.maximum(np.round(length * np.arange(1, segments + 1)), np.arange(1, segments + 1)).astype(int)
    total = sum(float(part.max(axis=1).sum()) for part in segment_times(fleet, workers, ends.tolist(), step_s, _SEED))
    return total * length / float(ends[-1])


def _communication(prediction: Forecast, syncs: int, fleet: Fleet) -> float:
    """Return the seconds of all collectives, which run within sites first and then between them."""
    seconds, states = 0.0, prediction.num_states(syncs)
    for links, num_participants in fleet.tiers(prediction.size.workers):
        volume = prediction._replace(size=prediction.size._replace(workers=num_participants)).volume(syncs)
        messages = sequential_messages(prediction.convention, num_participants)
        others = volume.sequential_messages // max(messages, 1) - states
        latencies = states * links.num_latencies(messages, BYTES_PER_NUMBER * prediction.traffic.state_size)
        latencies += others * links.num_latencies(messages, BYTES_PER_NUMBER * prediction.size.parameters)
        seconds += links.seconds(volume.wire_bytes, latencies, num_participants)
    return seconds
