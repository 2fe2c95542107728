"""The laws of step times: how long a worker takes for one local step, as a multiple of the mean.

A law draws independent factors with mean 1, except `Trace`, which draws from measured times. `accounting.fleets` uses
them to compute how long workers wait for each other.

Shape suffixes: T = local steps, K = workers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fdabench.accounting.arrays import Floats


class StepTime(Protocol):
    """A law of step times."""

    def draw(self, rng: np.random.Generator, steps: int, speed_K: Floats, step_s: float) -> Floats:
        """Return the seconds of each local step, shape [T, K].

        Args:
            rng: the source of random numbers. T steps drawn at once are the same as T steps drawn in parts.
            steps: T.
            speed_K: the speed of each worker; a worker of speed 2 needs half the time.
            step_s: the mean seconds of a local step at speed 1.
        """
        ...


@dataclass(frozen=True)
class Constant:
    """Every step takes the mean time."""

    def draw(self, rng: np.random.Generator, steps: int, speed_K: Floats, step_s: float) -> Floats:
        return np.broadcast_to(step_s / speed_K, (steps, len(speed_K)))


@dataclass(frozen=True)
class Lognormal:
    """The logarithm of a step time is normal: exp(sigma z - sigma^2 / 2), whose mean is 1.

    Args:
        sigma: the standard deviation of the logarithm. FedScale's devices have 0.6 (Lai et al., 2022, their code).
    """

    sigma: float

    def draw(self, rng: np.random.Generator, steps: int, speed_K: Floats, step_s: float) -> Floats:
        z_TK = rng.standard_normal((steps, len(speed_K)))
        return np.exp(self.sigma * z_TK - self.sigma**2 / 2) * (step_s / speed_K)


@dataclass(frozen=True)
class Exponential:
    """A step time is exponential. The slowest of K workers then takes H_K = 1 + 1/2 + ... + 1/K times the mean."""

    def draw(self, rng: np.random.Generator, steps: int, speed_K: Floats, step_s: float) -> Floats:
        return rng.standard_exponential((steps, len(speed_K))) * (step_s / speed_K)


@dataclass(frozen=True)
class Pareto:
    """A step time has a heavy tail: P(X > x) = x^-alpha for x >= 1, cut at `cap`, and divided by its mean.

    Args:
        alpha: the index of the tail; smaller is heavier.
        cap: the largest value before the division.
    """

    alpha: float = 1.5
    cap: float = 100.0

    @property
    def mean(self) -> float:
        """The mean of min(X, cap): 1 + the integral of x^-alpha from 1 to the cap."""
        if self.alpha == 1:
            return 1 + math.log(self.cap)
        return float(1 + (self.cap ** (1 - self.alpha) - 1) / (1 - self.alpha))

    def draw(self, rng: np.random.Generator, steps: int, speed_K: Floats, step_s: float) -> Floats:
        # 1 - random() lies in (0, 1], so that the power is finite
        x_TK = (1 - rng.random((steps, len(speed_K)))) ** (-1 / self.alpha)
        return np.minimum(x_TK, self.cap) / self.mean * (step_s / speed_K)


@dataclass(frozen=True)
class Trace:
    """Step times are drawn from measured ones, with replacement. They replace the time of a step of the simulation.

    Args:
        seconds: the measured times of each worker of the trace. Worker k of a run draws from the times of worker
            k modulo the number of workers of the trace.
    """

    seconds: tuple[tuple[float, ...], ...]

    def draw(self, rng: np.random.Generator, steps: int, speed_K: Floats, step_s: float) -> Floats:
        u_TK = rng.random((steps, len(speed_K)))
        columns = [self._column(u_TK[:, k], k) for k in range(len(speed_K))]
        return np.stack(columns, axis=1) / speed_K

    def _column(self, u_T: Floats, worker: int) -> Floats:
        measured = np.asarray(self.seconds[worker % len(self.seconds)])
        seconds: Floats = measured[(u_T * len(measured)).astype(np.int64)]
        return seconds


def worker_speeds(speeds: Sequence[float], workers: int) -> Floats:
    """Return the speed of each worker, shape [K]: worker k has `speeds[k % len(speeds)]`, or 1 if there are none."""
    factors = np.asarray(speeds or (1.0,), dtype=np.float64)
    return factors[np.arange(workers) % len(factors)]
