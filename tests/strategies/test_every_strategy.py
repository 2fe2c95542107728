"""Properties of every strategy."""

import pickle
from dataclasses import FrozenInstanceError, fields
from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest
import torch
from torch import Tensor

from fdabench.accounting.costs import CONVENTIONS, ByteCounts, total_bytes
from fdabench.component_info import info_of
from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import (
    HasSyncRule,
    HasTrafficForecast,
    MeansForecast,
    PlannedRun,
    Round,
    Strategy,
    SyncRule,
)
from fdabench.monitors import MONITORS
from fdabench.planning.forecast import RunSize, forecast_strategy
from fdabench.servers import SERVERS
from fdabench.servers.average import Average
from fdabench.strategies import STRATEGIES
from fdabench.strategies.ddp import DDP
from fdabench.strategies.streaming_diloco import StreamingDiLoCo
from fdabench.triggers.adacomm import AdaComm
from support.strategies import ALL_STRATEGIES, PLAIN_STRATEGIES, REGISTRY
from support.toy import PARAMETERS, STEPS, WORKERS, TrainingRun, equal_shares, layout, step_context, train

every_strategy = pytest.mark.parametrize("name", ALL_STRATEGIES)


@pytest.fixture(scope="module")
def ran() -> dict[str, TrainingRun]:
    return {name: train(strategy) for name, strategy in ALL_STRATEGIES.items()}


def test_every_component_is_among_the_tested_strategies() -> None:
    assert {type(strategy) for strategy in ALL_STRATEGIES.values()} == set(REGISTRY.strategies.values())
    assert {type(strategy.monitor) for strategy in ALL_STRATEGIES.values() if hasattr(strategy, "monitor")} == set(
        MONITORS.values()
    )
    assert {type(strategy.server) for strategy in ALL_STRATEGIES.values() if hasattr(strategy, "server")} == set(
        SERVERS.values()
    )
    for field, role in (("when", "triggers"), ("codec", "codecs"), ("correction", "corrections")):
        used = {type(getattr(strategy, field, None)) for strategy in ALL_STRATEGIES.values()}
        assert set(getattr(REGISTRY, role).values()) <= used


@every_strategy
def test_a_strategy_reduces_the_loss(name: str, ran: dict[str, TrainingRun]) -> None:
    losses = ran[name].losses
    assert sum(losses[-5:]) < 0.97 * sum(losses[:5])


@every_strategy
def test_a_strategy_synchronizes_and_all_numbers_are_finite(name: str, ran: dict[str, TrainingRun]) -> None:
    assert ran[name].w_KD.isfinite().all()
    assert 0 < len(ran[name].syncs) <= STEPS
    assert ran[name].w_KD.shape == (WORKERS, PARAMETERS)


@every_strategy
def test_two_runs_of_a_strategy_have_the_same_bits(name: str, ran: dict[str, TrainingRun]) -> None:
    again = train(ALL_STRATEGIES[name])
    assert torch.equal(again.w_KD, ran[name].w_KD)
    assert again[1:] == ran[name][1:]


PLANNED = PlannedRun(STEPS, PARAMETERS, lambda t: 0.2, layout())


@every_strategy
def test_the_forecast_traffic_equals_the_sent_traffic(name: str, ran: dict[str, TrainingRun]) -> None:
    strategy, syncs, entries = ALL_STRATEGIES[name], ran[name].syncs, ran[name].entries
    assert isinstance(strategy, HasTrafficForecast)
    traffic = strategy.forecast_traffic(PLANNED)
    states = [entry for entry in entries if entry.kind == "state"]
    assert traffic.min_syncs <= len(syncs) <= traffic.max_syncs
    assert sum(entry.count for entry in states) == traffic.num_states + len(syncs) * traffic.states_per_sync
    assert {entry.elements for entry in states} <= {traffic.state_size}
    assert sum(entry.count for entry in entries if entry.kind == "model") == len(syncs) - traffic.num_gradient_syncs


@every_strategy
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_bytes_of_the_ledger_equal_the_forecast_for_its_syncs(
    convention: str, name: str, ran: dict[str, TrainingRun]
) -> None:
    """The size of a packed message is told beforehand, and so is what a correction averages."""
    strategy = ALL_STRATEGIES[name]
    assert isinstance(strategy, HasTrafficForecast)
    size = RunSize(WORKERS, PARAMETERS, STEPS)
    actual = forecast_strategy(strategy, PLANNED, size, (), convention)
    expected, sent = actual.volume(len(ran[name].syncs)), total_bytes(ran[name].ledger, WORKERS, convention).total
    if isinstance(strategy, HasSyncRule) and strategy.rule.by_layer:
        assert sent <= expected.wire_bytes  # as if every sync were one of all layers
    else:
        assert sent == expected.wire_bytes


def sends_models_and_states_only(name: str) -> bool:
    strategy = PLAIN_STRATEGIES[name]
    rule = strategy.rule if isinstance(strategy, HasSyncRule) else SyncRule(Average())
    means = MeansForecast(0, 0) if rule.correction is None else rule.correction.forecast_means(PLANNED)
    return rule.codec is None and not rule.by_layer and (means.per_sync == 0 or isinstance(strategy, DDP))


MODEL, STATE = 4 * PARAMETERS, {"Naive": 4, "Linear": 8, "Sketch": 5004, "Exact": 4 * (PARAMETERS + 1), "Kamp": 4}
STATE |= {"LocalCondition": 4, "AdaComm": 4}
PRICES = {
    # (initial, one sync, one state) for four workers
    "paper": lambda state: (8 * MODEL, 8 * MODEL, 4 * state),
    "star": lambda state: (8 * MODEL, 8 * MODEL, 8 * state),
    "ring": lambda state: (0, 6 * MODEL, 6 * state),
    "upload": lambda state: (0, 4 * MODEL, 4 * state),
}


@pytest.mark.parametrize("name", [name for name in PLAIN_STRATEGIES if sends_models_and_states_only(name)])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_bytes_of_the_ledger_equal_a_count_by_hand(convention: str, name: str, ran: dict[str, TrainingRun]) -> None:
    """Of float32 models and local states, without codec or correction."""
    strategy = ALL_STRATEGIES[name]
    speaker = getattr(strategy, "monitor", getattr(strategy, "when", strategy))
    initial, sync, state = PRICES[convention](STATE.get(type(speaker).__name__, 0))
    states = 1 + len(ran[name].syncs) if isinstance(speaker, AdaComm) else STEPS
    models = len(ran[name].syncs) * sync
    if isinstance(strategy, StreamingDiLoCo):  # two fragments in turn, of 81 and 82 numbers
        first, second = -(-len(ran[name].syncs) // 2), len(ran[name].syncs) // 2
        models = sync // PARAMETERS * (81 * first + 82 * second)
    expected = ByteCounts(initial + models, states * state, 0)
    assert total_bytes(ran[name].ledger, WORKERS, convention) == expected


@every_strategy
def test_the_first_round_depends_on_the_model_alone(name: str) -> None:
    w_D = torch.randn(PARAMETERS, generator=torch.Generator().manual_seed(1))
    before_D = w_D.clone()
    first, second = ALL_STRATEGIES[name].init(w_D), ALL_STRATEGIES[name].init(w_D)
    assert torch.equal(w_D, before_D)
    assert len(tensors(first)) >= 2
    assert all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(second), strict=True))
    assert torch.equal(first.anchor_D, w_D)
    assert first.index == 0


def tensors(node: Any) -> list[Tensor]:
    """All tensors in a round, those of the server's state included."""
    if isinstance(node, Tensor):
        return [node]
    if isinstance(node, Round):
        return [tensor for field in fields(node) for tensor in tensors(getattr(node, field.name))]
    parts = node if isinstance(node, tuple) else ()
    return [tensor for part in parts for tensor in tensors(part)]


@every_strategy
def test_a_step_does_not_change_its_arguments(name: str) -> None:
    """Three rounds, so that server states are more than zeros; at the end everybody holds the new global model."""
    strategy, generator = ALL_STRATEGIES[name], torch.Generator().manual_seed(2)
    channel = Channel(InProcessCollective(equal_shares(WORKERS)), Ledger())
    r, w_KD, syncs = strategy.init(torch.zeros(PARAMETERS)), torch.zeros(WORKERS, PARAMETERS), 0
    stored = first_worker_state(strategy)
    for t in range(9):
        w_KD = w_KD + 0.1 * torch.randn(WORKERS, PARAMETERS, generator=generator)
        before = [tensor.clone() for tensor in (w_KD, *tensors(r))]
        kept_before = {key: x_KD.clone() for key, x_KD in stored.items()}
        outcome = strategy.step(step_context(t, w_KD, worker_state=stored), r, channel)
        assert all(torch.equal(was, now) for was, now in zip(before, (w_KD, *tensors(r)), strict=True))
        assert all(torch.equal(was, stored[key]) for key, was in kept_before.items())
        assert set(outcome.worker_state or {}) <= set(stored)
        if outcome.synced:
            replaced = averaged_part(strategy, outcome.round.index)
            assert torch.equal(outcome.w_KD[:, replaced], outcome.round.anchor_D[replaced].expand_as(w_KD[:, replaced]))
            assert torch.equal(outcome.w_KD[:, ~replaced], w_KD[:, ~replaced])
            assert torch.equal(outcome.round.previous_anchor_D, r.anchor_D)
            syncs += 1
        assert outcome.round.index == syncs
        r, w_KD = outcome.round, outcome.w_KD.clone()
        stored = {**stored, **(outcome.worker_state or {})}
    assert syncs > 2


def averaged_part(strategy: Strategy, syncs: int) -> Tensor:
    """Which parameters the sync with this number, counted from 1, replaces: all, or of two fragments one in turn."""
    replaced = torch.ones(PARAMETERS, dtype=torch.bool)
    if isinstance(strategy, StreamingDiLoCo):
        replaced = (torch.arange(PARAMETERS) < 81) == (syncs % 2 == 1)
    return replaced


def first_worker_state(strategy: Strategy) -> dict[str, Tensor]:
    names = strategy.rule.worker_state if isinstance(strategy, HasSyncRule) else ()
    return {key: torch.zeros(WORKERS, PARAMETERS) for key in names}


@every_strategy
def test_a_strategy_is_equal_hashable_frozen_and_restored_from_its_repr(name: str) -> None:
    """Equal, hashable, frozen, and written down as what would make it again."""
    strategy = ALL_STRATEGIES[name]
    names = {
        cls.__name__: cls
        for role in ("strategies", "monitors", "servers", "triggers", "codecs", "corrections")
        for cls in getattr(REGISTRY, role).values()
    }
    copies = [
        pickle.loads(pickle.dumps(strategy)),
        eval(repr(strategy), names | {"inf": inf, "nan": nan, "Fraction": Fraction}),
    ]
    for copy in copies:
        assert copy == strategy
        assert hash(copy) == hash(strategy)
    for field in fields(strategy):
        with pytest.raises(FrozenInstanceError):
            setattr(strategy, field.name, None)


@pytest.mark.parametrize("name", [name for name in PLAIN_STRATEGIES if name.split("-")[0] in STRATEGIES])
def test_a_strategy_cites_its_source(name: str) -> None:
    assert info_of(type(ALL_STRATEGIES[name])).references


@every_strategy
def test_a_step_from_an_equal_round_gives_an_equal_result(name: str) -> None:
    """All state is in the round: nothing is hidden in the strategy."""
    strategy: Strategy = ALL_STRATEGIES[name]
    train(strategy, steps=7)
    w_KD = torch.randn(WORKERS, PARAMETERS, generator=torch.Generator().manual_seed(3))
    one, other = (
        strategy.step(
            step_context(4, w_KD, worker_state=first_worker_state(strategy)),
            strategy.init(torch.zeros(PARAMETERS)),
            channel(),
        )
        for _ in range(2)
    )
    assert one.synced == other.synced
    assert torch.equal(one.w_KD, other.w_KD)
    assert isinstance(one.round, Round)


def channel() -> Channel:
    return Channel(InProcessCollective(equal_shares(WORKERS)), Ledger())
