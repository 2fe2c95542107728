"""Which local steps end a period, which fragment of a model is due, and which steps slow workers make.

Periods may have a fractional number of steps, such as an epoch of 187.5 steps:

>>> [t + 1 for t in range(751) if is_period_end(t, Fraction(375, 2))]
[188, 375, 563, 750]
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import ceil, exp, nan

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fdabench.core.seeds import derive_seed, numpy_generator


def is_period_end(t: int, period: Fraction | int) -> bool:
    """Whether local step `t`, counted from 0, completes a period of `period` steps. The arithmetic is exact."""
    return (t + 1) // period > t // period


Delay = tuple[int, int]
"""By which share of a step the last sync came after the end of its period: numerator and denominator."""
ON_TIME: Delay = (0, 1)


def period_delay(steps: int, delay: Delay, period: Fraction | int) -> Delay | None:
    """Whether a round has completed its period, where periods may change from round to round. Exact.

    Args:
        steps: local steps of the round so far.
        delay: of the sync before the round, so that a period of 2.5 steps ends after 3, 5, 8, 10 steps.
        period: of the round. It may be shorter than in the step before.

    Returns:
        None if it has not, else the delay of the sync that is now due; `ON_TIME` if the period was cut short.
    """
    over = steps + Fraction(*delay) - max(1, period)
    if over < 0:
        return None
    return (over.numerator, over.denominator) if over < 1 else ON_TIME


def count_period_ends(steps: int, stages: Iterable[tuple[Fraction | int, Fraction | int]]) -> int:
    """The number of syncs in a run that asks `period_delay` after every step.

    Args:
        steps: local steps of the run.
        stages: the number of local steps at which each stage ends, and the period in it.

    >>> count_period_ends(20, [(4, 1), (20, Fraction(5, 2))])
    10
    """
    syncs, begin, last = 0, 0, Fraction(0)
    for stop, period in stages:
        end, period = min(steps, ceil(stop)), max(1, period)
        due = last + period
        if due <= begin:  # the period was cut short
            due = Fraction(begin + 1)
        if ceil(due) <= end:
            more = (end - due) // period
            syncs += 1 + more
            last = due + more * period
        begin = max(begin, end)
    return syncs


def fragment_slices(num_parameters: int, fragments: int) -> tuple[slice, ...]:
    """Cut a row into parts whose lengths differ by at most one number.

    >>> fragment_slices(10, 3)
    (slice(0, 3, None), slice(3, 6, None), slice(6, 10, None))
    """
    bounds = [index * num_parameters // fragments for index in range(fragments + 1)]
    return tuple(slice(start, stop) for start, stop in pairwise(bounds))


@dataclass(frozen=True)
class FragmentSchedule:
    """Each fragment is due once in `period` local steps, at equal intervals, first to last. The arithmetic is exact.

    Args:
        period: local steps between two syncs of the same fragment; may be a fraction.
        fragments: their number.

    Raises:
        ValueError: more than one fragment would be due in a step.

    >>> schedule = FragmentSchedule(Fraction(5), 2)
    >>> [(t, schedule.due(t)) for t in range(10) if schedule.due(t) is not None]
    [(2, 0), (4, 1), (7, 0), (9, 1)]
    """

    period: Fraction
    fragments: int

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ValueError(
                f"fragments: {self.fragments} is too many for a period of {float(self.period):g} local steps"
            )

    @property
    def interval(self) -> Fraction:
        """Local steps between two fragments."""
        return Fraction(self.period) / self.fragments

    def count(self, steps: int) -> int:
        """The number of fragments that are due in the first `steps` local steps."""
        return int(max(0, steps) // self.interval)

    def due(self, t: int) -> int | None:
        """The fragment that is due at local step `t`, counted from 0; None for none, also before the first step."""
        count = self.count(t + 1)
        return None if count == self.count(t) else (count - 1) % self.fragments

    def start(self, t: int) -> int:
        """The number of local steps before the round that ends for the fragment due at local step `t`."""
        return max(0, ceil((self.count(t + 1) - self.fragments) * self.interval))


_PARTS = 10**6
"""Speeds are whole multiples of 1 / _PARTS, so that counts of steps are exact."""


@dataclass(frozen=True)
class LocalSteps:
    """Counts the local steps of workers of unequal speeds.

    A tick is a local step of a worker of speed 1, and what the rest of the program calls a local step. A worker of
    speed s makes a step in tick t if floor((t + 1) s) > floor(t s), so it has made floor(n s) steps after n ticks.
    Workers do not wait for each other: a sync averages the models as they are at the end of the tick. Shape suffix:
    N = workers.

    Args:
        speeds: of the workers, above 0 and at most 1, rounded to six decimals.
    """

    speeds: tuple[float, ...]

    @cached_property
    def _parts_N(self) -> npt.NDArray[np.int64]:
        parts_N: npt.NDArray[np.int64] = np.maximum(np.rint(np.asarray(self.speeds) * _PARTS), 1).astype(np.int64)
        return parts_N

    def completed(self, ticks: int) -> npt.NDArray[np.int64]:
        """Return the number of steps that each worker makes in the first `ticks` ticks, shape [N]."""
        steps_N: npt.NDArray[np.int64] = ticks * self._parts_N // _PARTS
        return steps_N

    def idle(self, tick: int) -> list[int]:
        """Return the workers that make no step in a tick, which counts from 0."""
        made_N = self.completed(tick + 1) > self.completed(tick)
        return [int(worker) for worker in np.flatnonzero(~made_N)]

    def rows(self, workers: Sequence[int]) -> "LocalSteps":
        """Return the same of some of the workers."""
        return LocalSteps(tuple(self.speeds[worker] for worker in workers))

    def drift_factors(self, start: int, stop: int) -> Tensor | None:
        """Return what normalized averaging multiplies the drift of each worker by, float64, shape [N].

        This is FedNova (Wang et al., NeurIPS 2020) with equal weights and a_k = (1, ..., 1), which is exact for SGD
        without momentum: the mean drift is tau_eff / M sum_k u_k / tau_k over the M workers that made steps, where
        worker k made tau_k and tau_eff is the mean of the tau_k.

        Args:
            start: ticks before the round.
            stop: ticks at its end.

        Returns:
            None if all workers made equally many steps. A worker that made none has the factor 0.
        """
        tau_N = self.completed(stop) - self.completed(start)
        if (tau_N == tau_N[0]).all():
            return None
        made_N = tau_N > 0
        factor_N = tau_N[made_N].mean() * len(tau_N) / made_N.sum() / np.maximum(tau_N, 1)
        return torch.from_numpy(factor_N * made_N)


def parse_speeds(text: str) -> tuple[float, ...]:
    """Parse speeds that are separated by spaces or commas.

    Raises:
        ValueError: there is none, or a value is not a number above 0 and at most 1.

    >>> parse_speeds("1, 1, 0.5")
    (1.0, 1.0, 0.5)
    """
    values = text.replace(",", " ").split()
    if not values:
        raise ValueError('no speed is given; write numbers above 0 and at most 1, such as "1 1 0.5"')
    return tuple(map(_parse_speed, values))


def _parse_speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = nan
    if not 0 < speed <= 1:
        raise ValueError(f"{text!r:.20} is no speed; a speed is a number above 0 and at most 1")
    return speed


def uniform_speeds(workers: int, lowest: float, seed: int) -> tuple[float, ...]:
    """Draw a speed between `lowest` and 1 for each worker; it depends on the seed and the worker only."""
    return tuple(lowest + (1 - lowest) * float(_speed_rng(seed, worker).random()) for worker in range(workers))


def lognormal_speeds(workers: int, sigma: float, seed: int) -> tuple[float, ...]:
    """Draw speeds whose logarithms are normal with standard deviation `sigma`, divided by the highest of them."""
    speeds = [exp(sigma * float(_speed_rng(seed, worker).standard_normal())) for worker in range(workers)]
    return tuple(speed / max(speeds) for speed in speeds)


def _speed_rng(seed: int, worker: int) -> np.random.Generator:
    return numpy_generator(derive_seed("speed", {"seed": seed, "worker": worker}))
