"""Moments of the optimizer with their own averaging periods: DES-LOC (Iacob et al., 2026)."""

from fractions import Fraction

import pytest
import torch

from fdabench.monitors.naive import Naive
from fdabench.optimizers.adam import Adam, AdamW
from fdabench.strategies.fda import FDA
from fdabench.strategies.fedavg import FedAvg
from support.toy import PARAMETERS, TrainingRun, train


def averaged(first: int | None, second: int | None, period: int = 1) -> TrainingRun:
    local = AdamW(lr=0.02, state_on_sync="average", first_every=first, second_every=second)
    return train(FedAvg(Fraction(period)), local=local)


def vectors(ran: TrainingRun, kind: str) -> int:
    return sum(entry.count * entry.elements for entry in ran.entries if entry.kind == kind) // PARAMETERS


def test_periods_of_one_are_averages_at_every_sync() -> None:
    plain, desynced = averaged(None, None, 3), averaged(1, 1, 3)
    assert torch.equal(plain.w_KD, desynced.w_KD)
    assert plain.entries == desynced.entries


def test_periods_longer_than_the_run_keep_the_moments() -> None:
    stored = train(FedAvg(Fraction(3)), local=AdamW(lr=0.02, state_on_sync="keep"))
    assert torch.equal(averaged(99, 99, 3).w_KD, stored.w_KD)


def test_the_published_periods_halve_what_local_adam_sends() -> None:
    """1 + 1/3 + 1/6 = 1.5 vectors a sync in place of 3."""
    desynced, local_adam = averaged(3, 6), averaged(None, None)
    assert (vectors(desynced, "model"), vectors(desynced, "optimizer")) == (30, 10 + 5)
    assert (vectors(local_adam, "model"), vectors(local_adam, "optimizer")) == (30, 60)
    assert 2 * (30 + 15) == 30 + 60


def test_fda_averages_moments_by_its_syncs() -> None:
    ran = train(FDA(0.01, Naive()), local=Adam(lr=0.02, state_on_sync="average", first_every=2, second_every=4))
    assert vectors(ran, "optimizer") == len(ran.syncs) // 2 + len(ran.syncs) // 4
    assert len(ran.syncs) > 4


def test_periods_without_averages_are_refused() -> None:
    for periods in ({"first_every": 3}, {"second_every": 6}):
        with pytest.raises(ValueError, match='need state_on_sync = "average"'):
            Adam(lr=0.1, **periods)  # type: ignore[arg-type]
