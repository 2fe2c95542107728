"""Identities between strategies that hold for any problem."""

from collections.abc import Callable
from fractions import Fraction
from math import inf

import pytest
import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import RoundInfo, ServerOptimizer
from fdabench.corrections.prox import Prox
from fdabench.engine.arrays import LabeledData
from fdabench.engine.loop import CellLoop, train_loop
from fdabench.engine.sampling import Sampler
from fdabench.engine.workers import Workers
from fdabench.monitors import MONITORS
from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD
from fdabench.servers import SERVERS
from fdabench.servers.average import Average
from fdabench.servers.nesterov import Nesterov
from fdabench.strategies.fda import FDA
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.presets.diloco import DiLoCo
from fdabench.strategies.presets.fedprox import FedProx
from fdabench.strategies.synchronous import Synchronous
from support.toy import (
    CLASSES,
    STEPS,
    WORKERS,
    data,
    equal_shares,
    make_workers,
    model,
    sampler,
    sequential_workers,
    step_context,
    train,
)

LOCALS = {
    "sgd": SGD(lr=0.2),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "nesterov": SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": Adam(lr=0.02),
    "adamw": AdamW(lr=0.02, weight_decay=0.1),
}
PLAIN: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda w: torch.optim.SGD(w, lr=0.2),
    "momentum": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9),
    "nesterov": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda w: torch.optim.Adam(w, lr=0.02, betas=(0.9, 0.999), eps=1e-8),
    "adamw": lambda w: torch.optim.AdamW(w, lr=0.02, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
}

# Where only the order of sums differs, float64 is used, so that a slip of meaning is far above rounding. A step rounds
# relative to 2^-53 over sums of at most 200 terms, 2e-14; 30 steps, each of which may also grow what is there already
# by 1 + lr L <= 1.4: below 30 * 2e-14 * 1.4^30 = 1.5e-8. A wrong weight, batch or order is above 1e-3.
ROUNDING = 1.5e-8


@pytest.mark.parametrize("local", LOCALS)
@pytest.mark.parametrize("monitor", MONITORS)
def test_fda_with_a_theta_below_every_variance_is_synchronous(monitor: str, local: str) -> None:
    """Minus infinity, as a sketch may say that a variance is below zero."""
    dynamic = train(FDA(-inf, MONITORS[monitor]()), local=LOCALS[local])
    plain = train(Synchronous(), local=LOCALS[local])
    assert torch.equal(dynamic.w_KD, plain.w_KD)
    assert dynamic.syncs == plain.syncs == list(range(1, STEPS + 1))
    assert [entry for entry in dynamic.entries if entry.kind != "state"] == plain.entries


@pytest.mark.parametrize("monitor", MONITORS)
def test_fda_with_an_infinite_theta_never_synchronizes(monitor: str) -> None:
    ran = train(FDA(inf, MONITORS[monitor]()))
    apart = [
        train(FDA(inf, MONITORS[monitor]()), workers=WORKERS, local_workers=[k], collective=lone())
        for k in range(WORKERS)
    ]
    assert ran.syncs == []
    assert {entry.kind for entry in ran.entries} == {"initial", "state"}
    assert torch.equal(ran.w_KD, torch.cat([single.w_KD for single in apart]))


def lone() -> InProcessCollective:
    return InProcessCollective(equal_shares(1))


@pytest.mark.parametrize("local", LOCALS)
def test_fedavg_with_a_period_of_one_is_synchronous(local: str) -> None:
    periodic = train(FedAvg(Fraction(1)), local=LOCALS[local])
    plain = train(Synchronous(), local=LOCALS[local])
    assert torch.equal(periodic.w_KD, plain.w_KD)
    assert periodic.entries == plain.entries


def test_synchronous_sgd_equals_one_worker_with_the_joined_batch() -> None:
    """The mean of the gradients of equal batches is the gradient of their mean loss."""
    x, y = data()
    together = model(torch.float64)
    optimizer = torch.optim.SGD(together.parameters(), lr=0.2)
    samplers = [sampler(k, WORKERS) for k in range(WORKERS)]
    for _ in range(STEPS):
        samples = torch.cat([torch.from_numpy(item.next_batch()) for item in samplers])
        assert len(samples) == 32
        optimizer.zero_grad()
        nn.functional.cross_entropy(together(x[samples].double()), y[samples]).backward()
        optimizer.step()
    ran = train(Synchronous(), local=SGD(lr=0.2), dtype=torch.float64)
    assert (ran.w_KD - flat(together)).abs().max() < ROUNDING


def flat(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@pytest.mark.parametrize("strategy", [Synchronous(), FedAvg(Fraction(7, 2)), FDA(0.05, MONITORS["linear"]())], ids=repr)
@pytest.mark.parametrize("local", LOCALS)
def test_one_worker_is_plain_training(local: str, strategy: object) -> None:
    x, y = data()
    plain = model(torch.float64)
    optimizer, batches = PLAIN[local](plain.parameters()), sampler(0, 1)
    losses = []
    for _ in range(STEPS):
        samples = torch.from_numpy(batches.next_batch())
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(plain(x[samples].double()), y[samples])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ran = train(strategy, workers=1, local=LOCALS[local], dtype=torch.float64)
    assert (ran.w_KD[0] - flat(plain)).abs().max() < ROUNDING
    assert ran.losses == pytest.approx(losses, abs=ROUNDING)


ORDERLY = [Synchronous(), FedAvg(Fraction(5)), *(FDA(0.03, MONITORS[name]()) for name in ("naive", "linear", "exact"))]


@pytest.mark.parametrize("strategy", ORDERLY, ids=repr)
def test_the_order_of_the_workers_does_not_matter(strategy: object) -> None:
    order = [2, 0, 3, 1]
    ran = train(strategy, dtype=torch.float64)
    permuted = train(strategy, local_workers=order, dtype=torch.float64)
    assert len(ran.syncs) > 1
    assert permuted.syncs == ran.syncs
    assert (permuted.w_KD - ran.w_KD[order]).abs().max() < ROUNDING


def test_the_order_of_the_workers_does_not_matter_to_a_sketch() -> None:
    """Its table is float32: 10 steps in which averages differ by 6 * 2^-24, growing by 1.4 a step, make 1.1e-4."""
    order, strategy = [2, 0, 3, 1], FDA(0.03, MONITORS["sketch"]())
    ran, permuted = train(strategy, steps=10), train(strategy, steps=10, local_workers=order)
    assert len(ran.syncs) > 1
    assert permuted.syncs == ran.syncs
    assert (permuted.w_KD - ran.w_KD[order]).abs().max() < 1.1e-4


@pytest.mark.parametrize("every", [1, 2, 7])
@pytest.mark.parametrize("theta", [-1.0, 0.06, inf])
def test_fda_checks_at_multiples_of_its_check_period_only(every: int, theta: float) -> None:
    ran = train(FDA(theta, MONITORS["naive"](), every=every))
    looked = [step for step, estimate in enumerate(ran.estimates, 1) if estimate != "nan"]
    assert looked == list(range(every, STEPS + 1, every))
    assert ran.syncs == [step for step in looked if float.fromhex(ran.estimates[step - 1]) > theta]
    assert sum(entry.count for entry in ran.entries if entry.kind == "state") == len(looked)


def test_fda_does_not_synchronize_at_an_estimate_equal_to_theta() -> None:
    """The paper synchronizes when the estimate is above the threshold, not at it."""
    first = train(FDA(inf, MONITORS["naive"]()), steps=1).estimates[0]
    assert train(FDA(float.fromhex(first), MONITORS["naive"]()), steps=1).syncs == []


@pytest.mark.parametrize(
    ("period", "steps", "expected"),
    [
        (Fraction(4), 13, [4, 8, 12]),
        (Fraction(3, 2), 9, [2, 3, 5, 6, 8, 9]),
        (Fraction(125, 4), 250, [32, 63, 94, 125, 157, 188, 219, 250]),
        (Fraction(375, 2), 1125, [188, 375, 563, 750, 938, 1125]),
        (
            Fraction(60000, 7 * 32),
            3750,
            [268, 536, 804, 1072, 1340, 1608, 1875, 2143, 2411, 2679, 2947, 3215, 3483, 3750],
        ),
    ],
    ids=str,
)
def test_fedavg_synchronizes_at_these_steps(period: Fraction, steps: int, expected: list[int]) -> None:
    strategy, channel = FedAvg(period, Average()), Channel(InProcessCollective(equal_shares(2)), Ledger())
    w_KD = torch.zeros(2, 3)
    r, syncs = strategy.init(w_KD[0]), []
    for t in range(steps):
        outcome = strategy.step(step_context(t, w_KD), r, channel)
        r = outcome.round
        syncs += [t + 1] * outcome.synced
    assert syncs == expected
    assert r.index == len(expected)


class Fixed(Sampler):
    """A sampler that always draws the same batch."""

    def __init__(self, batch: Tensor) -> None:
        self._batch = batch.numpy()

    def next_batch(self):
        return self._batch


def test_workers_are_weighted_by_their_share_of_the_samples() -> None:
    """Shares of 1/4 and 3/4: one synchronous step of SGD is the step on the weighted gradient."""
    x, y = data()
    ours, expected = torch.arange(8), torch.arange(100, 108)
    crew = sequential_workers(
        model(torch.float64), SGD(lr=0.2), [Fixed(ours), Fixed(expected)], LabeledData(x.double(), y)
    )
    channel = Channel(InProcessCollective(torch.tensor([0.25, 0.75], dtype=torch.float64)), Ledger())
    train_loop(crew, [CellLoop(Synchronous(), channel, 1, lambda moment: True)])
    plain = model(torch.float64)
    loss = sum(
        share * nn.functional.cross_entropy(plain(x[samples].double()), y[samples])
        for share, samples in ((0.25, ours), (0.75, expected))
    )
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(plain.parameters()))])
    assert (crew.weights() - (flat(plain) - 0.2 * gradient)).abs().max() < ROUNDING
    assert len(y.unique()) == CLASSES


OPTIMIZERS: dict[str, tuple[Callable[[str], LocalOptimizer], int]] = {
    "sgd": (lambda state_on_sync: SGD(lr=0.1, state_on_sync=state_on_sync), 0),
    "momentum": (lambda state_on_sync: SGD(lr=0.1, momentum=0.9, state_on_sync=state_on_sync), 1),
    "adam": (lambda state_on_sync: Adam(lr=0.01, state_on_sync=state_on_sync), 2),
    "adamw": (lambda state_on_sync: AdamW(lr=0.01, state_on_sync=state_on_sync), 2),
}
"""How each is made, and how many numbers for each parameter it remembers."""


def moments(crew: Workers) -> list[Tensor]:
    """Copies of the optimizer's vectors, such as momentum: [K, D] for each of them."""
    states = crew.state_dict(0, {}).optimizer_states
    names = [name for name, value in states[0].items() if torch.is_tensor(value) and value.dim()]
    return [torch.stack([state[name] for state in states]) for name in names]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_kept_optimizer_state_is_local_to_each_worker(name: str) -> None:
    crew, channel, before = stepped(name, "keep")
    crew.load_synced_models(0, torch.zeros_like(crew.weights()), channel, 1)
    assert len(before) == OPTIMIZERS[name][1]
    assert all(torch.equal(was_KD, is_KD) for was_KD, is_KD in zip(before, moments(crew), strict=True))
    assert channel.ledger.entries == []


def stepped(name: str, state_on_sync: str) -> tuple[Workers, Channel, list[Tensor]]:
    """Three workers after five steps, and the state of their optimizer."""
    crew = make_workers(range(3), 3, OPTIMIZERS[name][0](state_on_sync))
    for _ in range(5):
        crew.step()
    channel = Channel(InProcessCollective(equal_shares(3)), Ledger())
    channel.ledger.step = 5
    return crew, channel, moments(crew)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reset_optimizer_state_equals_that_of_a_new_optimizer(name: str) -> None:
    """Five steps, a reset to the initial models, and one more is what one step alone on that batch is."""
    crew, channel, _ = stepped(name, "reset")
    samplers = [sampler(k, 3) for k in range(3)]
    for _ in range(5):
        for item in samplers:
            item.next_batch()
    other = sequential_workers(model(), OPTIMIZERS[name][0]("keep"), samplers, LabeledData(*data()))
    crew.load_synced_models(0, other.weights().clone(), channel, 1)
    crew.step()
    other.step()
    assert torch.equal(crew.weights(), other.weights())
    assert channel.ledger.entries == []


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_averaged_optimizer_state_is_equal_on_all_workers_and_counted(name: str) -> None:
    crew, channel, before = stepped(name, "average")
    crew.load_synced_models(0, torch.zeros_like(crew.weights()), channel, 1)
    after = moments(crew)
    assert len(after) == OPTIMIZERS[name][1]
    for was_KD, is_KD in zip(before, after, strict=True):
        assert not torch.equal(was_KD[0], was_KD[1])
        assert torch.equal(is_KD, channel.collective.mean(was_KD).expand_as(is_KD))
    facts = [(entry.kind, entry.first_step, entry.count, entry.payload_bytes) for entry in channel.ledger.entries]
    assert facts == [("optimizer", 5, 1, 4 * 163)] * len(after)


@pytest.mark.parametrize("server", [cls() for cls in SERVERS.values()], ids=repr)
def test_the_server_updates_the_global_model_and_keeps_its_state_between_rounds(server: ServerOptimizer) -> None:
    """Three rounds of mean drifts, through a strategy and through the server alone."""
    strategy, channel = FedAvg(Fraction(1), server), Channel(InProcessCollective(equal_shares(2)), Ledger())
    drifts = torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(10))
    w_D = torch.ones(6)
    r, state = strategy.init(w_D), server.init(w_D)
    for t, u_KD in enumerate(drifts):
        outcome = strategy.step(step_context(t, r.anchor_D + u_KD), r, channel)
        w_D, state = server.update(w_D, u_KD.mean(0), state, RoundInfo(t, t + 1, lambda t: 0.2))
        assert torch.allclose(outcome.round.anchor_D, w_D, rtol=0, atol=1e-5)
        assert torch.equal(outcome.round.previous_anchor_D, r.anchor_D)
        assert torch.equal(outcome.w_KD, outcome.round.anchor_D.expand(2, 6))
        r = outcome.round


SAME = {
    "DiLoCo of lr 1 and momentum 0 is FedAvg": (DiLoCo(Fraction(4), Nesterov(1.0, 0.0)), FedAvg(Fraction(4))),
    "FedProx of mu 0 is FedAvg": (FedProx(Fraction(4), correction=Prox(0.0)), FedAvg(Fraction(4))),
    "FDA with mu 0 is FDA": (FDA(0.06, MONITORS["linear"](), correction=Prox(0.0)), FDA(0.06, MONITORS["linear"]())),
    "FDA of lag 0 is FDA": (FDA(0.06, MONITORS["linear"](), lag=0), FDA(0.06, MONITORS["linear"]())),
}


@pytest.mark.parametrize("case", SAME)
def test_pairs_of_equivalent_strategies_are_equal_to_the_last_bit(case: str) -> None:
    special, plain = (train(strategy) for strategy in SAME[case])
    assert torch.equal(special.w_KD, plain.w_KD)
    assert special[1:] == plain[1:]
    assert len(plain.syncs) > 1
