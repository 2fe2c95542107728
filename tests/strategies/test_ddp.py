"""Gradient averaging: equality with Synchronous and with torch's training on the joined batch."""

import pytest
import torch
from torch import nn

from fdabench.engine.loop import StepEvent
from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD
from fdabench.strategies.ddp import DDP
from fdabench.strategies.synchronous import Synchronous
from support.toy import STEPS, WORKERS, data, model, sampler, train

LINEAR_UPDATES: dict[str, LocalOptimizer] = {
    "sgd": SGD(lr=0.2),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "nesterov": SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
}
# as in test_identities.py: 30 steps in float64, each of which may also grow what is there by 1 + lr L <= 1.4
ROUNDING = 1.5e-8


@pytest.mark.parametrize("local", [*LINEAR_UPDATES.values(), Adam(lr=0.02), AdamW(lr=0.02, weight_decay=0.1)])
def test_all_workers_have_the_same_model_to_the_last_bit(local: LocalOptimizer) -> None:
    def equal_rows(moment: StepEvent) -> None:
        assert torch.equal(moment.context.w_KD, moment.context.w_KD[0].expand_as(moment.context.w_KD))

    assert train(DDP(), local=local, on_step=equal_rows).syncs == list(range(1, STEPS + 1))


@pytest.mark.parametrize("local", LINEAR_UPDATES)
def test_with_an_update_linear_in_the_gradient_ddp_equals_synchronous(local: str) -> None:
    """The momentum of Synchronous' workers differs, but its mean is the momentum of the mean gradient."""
    of_gradients = train(DDP(), local=LINEAR_UPDATES[local], dtype=torch.float64)
    of_models = train(Synchronous(), local=LINEAR_UPDATES[local], dtype=torch.float64)
    assert (of_gradients.w_KD - of_models.w_KD).abs().max() < ROUNDING


def test_with_adam_ddp_differs_from_synchronous() -> None:
    of_gradients = train(DDP(), local=Adam(lr=0.02), dtype=torch.float64)
    of_models = train(Synchronous(), local=Adam(lr=0.02), dtype=torch.float64)
    assert (of_gradients.w_KD - of_models.w_KD).abs().max() > 1e-3


def test_ddp_equals_torchs_training_on_the_batches_of_all_workers() -> None:
    """The oracle: one model, one torch.optim.Adam, the mean loss over the joined batch."""
    net, samplers = model(torch.float64), [sampler(k, WORKERS) for k in range(WORKERS)]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02, eps=1e-8)
    x, y = data()
    for _ in range(STEPS):
        samples = torch.cat([torch.from_numpy(item.next_batch()) for item in samplers])
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[samples].double()), y[samples]).backward()
        optimizer.step()
    plain_D = torch.cat([w.detach().flatten() for w in net.parameters()])
    actual = train(DDP(), local=Adam(lr=0.02), dtype=torch.float64)
    assert (actual.w_KD - plain_D).abs().max() < ROUNDING


def test_ddp_sends_the_initial_model_and_a_gradient_at_each_step() -> None:
    entries = train(DDP()).entries
    parameters = entries[0].elements
    assert [(entry.kind, entry.first_step, entry.last_step, entry.count, entry.elements) for entry in entries] == [
        ("initial", 0, 0, 1, parameters),
        ("gradient", 1, STEPS, STEPS, parameters),
    ]
