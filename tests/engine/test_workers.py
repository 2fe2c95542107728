import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fdabench.accounting.costs import total_bytes
from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import Round, StepContext, StepResult
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.engine.arrays import LabeledData, WorkerMatrix
from fdabench.engine.evaluate import BATCH, evaluate, model_variance
from fdabench.engine.flatten import bind_parameters, flatten, parameters, unflatten
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.loop import CellLoop, StepEvent, train_loop
from fdabench.engine.workers import GradientFnFactory
from fdabench.optimizers.sgd import SGD
from fdabench.strategies.synchronous import Synchronous
from support.toy import PARAMETERS, data, equal_shares, make_workers, model, sampler, sequential_workers, train

NO_STATISTICS = torch.empty(0)


def test_views_share_memory_with_the_row() -> None:
    net, row_D = model(), torch.zeros(PARAMETERS)
    parts = list(unflatten(row_D, list(net.parameters())))
    assert [part.shape for part in parts] == [parameter.shape for parameter in net.parameters()]
    parts[1].fill_(1.0)
    assert row_D.sum() == parts[1].numel() == 8
    assert row_D[128:136].sum() == 8


def test_flatten_and_load_are_inverse_functions() -> None:
    net, w_D = model(), torch.arange(float(PARAMETERS))
    bind_parameters(net, w_D, NO_STATISTICS)
    assert torch.equal(flatten(parameters(net)), w_D)
    w_D[0] = -5.0
    assert next(net.parameters()).flatten()[0] == -5.0


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_gradients_equal_those_of_separate_models(engine: GradientFnFactory) -> None:
    x, y = data()
    w_KD = torch.randn(3, PARAMETERS, generator=torch.Generator().manual_seed(4))
    g_KD = torch.full_like(w_KD, 9.0)
    gradients = engine(model(), WorkerMatrix(w_KD, g_KD, torch.empty(3, 0)), LabeledData(x, y), "fp32")
    samples = [np.arange(k * 20, k * 20 + 8 + k) for k in range(3)]
    for _ in range(2):
        losses = gradients(samples, torch.empty(3, 0, dtype=torch.int64))
        for k, (images, labels) in enumerate((x[indices], y[indices]) for indices in samples):
            alone = model()
            bind_parameters(alone, w_KD[k].clone(), NO_STATISTICS)
            logits = alone(images)
            loss = nn.functional.cross_entropy(logits, labels)
            expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(alone.parameters()))])
            assert torch.allclose(g_KD[k], expected, rtol=1e-5, atol=1e-7)
            assert losses.loss_K[k] == pytest.approx(loss.item())
            assert losses.accuracy_K[k] == pytest.approx((logits.argmax(1) == labels).float().mean().item())


def test_workers_share_the_initial_model_and_step_independently() -> None:
    crew = make_workers(range(3), 3, SGD(lr=0.1))
    assert torch.equal(crew.weights(), flatten(parameters(model())).expand(3, -1))
    crew.step()
    assert not torch.equal(crew.weights()[0], crew.weights()[1])


def test_a_workers_steps_do_not_depend_on_the_others() -> None:
    together = make_workers(range(3), 3, SGD(lr=0.1, momentum=0.9))
    alone = make_workers([1], 3, SGD(lr=0.1, momentum=0.9))
    for _ in range(5):
        together.step()
        alone.step()
    assert torch.equal(together.weights()[1], alone.weights()[0])


def test_a_step_event_has_the_models_before_the_sync() -> None:
    """Three synchronous steps: seen, the workers differ; handed on, they do not."""
    visited: list[StepEvent] = []
    apart: list[bool] = []

    def see(moment: StepEvent) -> None:
        visited.append(moment)
        apart.append(not torch.equal(moment.context.w_KD[0], moment.context.w_KD[1]))

    ran = train(Synchronous(), steps=3, on_step=see)
    assert apart == [True] * 3
    assert [moment.step for moment in visited] == [1, 2, 3]
    assert [moment.round.index for moment in visited] == [0, 1, 2]
    assert [moment.outcome.round.index for moment in visited] == [1, 2, 3]
    assert torch.equal(ran.w_KD[0], ran.w_KD[1])


def test_the_loop_ends_on_request_and_returns_the_last_sync() -> None:
    crew, channel = make_workers(range(2), 2, SGD(lr=0.1)), Channel(InProcessCollective(equal_shares(2)), Ledger())
    train_loop(crew, [CellLoop(Synchronous(), channel, 100, lambda moment: moment.step < 4)])
    assert channel.ledger.step == 4
    assert torch.equal(crew.weights()[0], crew.weights()[1])


def test_models_that_a_strategy_returns_without_a_sync_are_ignored() -> None:
    class Idle:
        def init(self, w_D: torch.Tensor) -> Round:
            return Round(w_D, w_D, ())

        def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
            return StepResult(torch.full_like(ctx.w_KD, 1e9), r, False)

    ran = train(Idle(), steps=5)
    assert ran.w_KD.abs().max() < 10
    assert [entry.kind for entry in ran.entries] == ["initial"]


@pytest.mark.parametrize("shares", [[0.25] * 4, [0.7, 0.1, 0.1, 0.1]])
def test_model_variance_equals_its_definition_and_is_not_counted(shares: list[float]) -> None:
    w_KD = torch.randn(4, 50, generator=torch.Generator().manual_seed(5))
    channel = Channel(InProcessCollective(torch.tensor(shares)), Ledger())
    w64_KD, share_K = w_KD.double().numpy(), np.array(shares)
    mean_D = share_K @ w64_KD
    expected = share_K @ ((w64_KD - mean_D) ** 2).sum(1)
    assert model_variance(w_KD, channel.collective.mean(w_KD), channel.collective) == pytest.approx(expected, rel=1e-5)
    assert channel.ledger.entries == []


def test_an_evaluation_uses_the_whole_test_set_and_no_random_number() -> None:
    """More than one batch, the last one not full."""
    generator = torch.Generator().manual_seed(6)
    x, y = torch.randn(2 * BATCH + 17, 1, 4, 4, generator=generator), torch.arange(2 * BATCH + 17) % 3
    net, w_D = model(), torch.randn(PARAMETERS, generator=generator)
    actual = evaluate(net, w_D, NO_STATISTICS, LabeledData(x, y))
    bind_parameters(net, w_D, NO_STATISTICS)
    logits = net(x).detach()
    assert actual.accuracy == pytest.approx((logits.argmax(1) == y).double().mean().item(), abs=1e-12)
    assert actual.loss == pytest.approx(nn.functional.cross_entropy(logits, y).item(), rel=1e-5)


def test_an_evaluation_does_not_change_the_training() -> None:
    x, y = data()
    net = model()

    def test(moment: StepEvent) -> None:
        evaluate(net, InProcessCollective(equal_shares(4)).mean(moment.context.w_KD), NO_STATISTICS, LabeledData(x, y))
        model_variance(moment.context.w_KD, moment.context.w_KD.mean(0), InProcessCollective(equal_shares(4)))

    watched, plain = train(Synchronous(), on_step=test), train(Synchronous())
    assert torch.equal(watched.w_KD, plain.w_KD)
    assert total_bytes(pd.DataFrame(watched.entries), 4, "paper") == total_bytes(
        pd.DataFrame(plain.entries), 4, "paper"
    )


def test_an_evaluation_with_the_training_model_does_not_change_the_training() -> None:
    """As a cell does: there is one module, and both point it at their own weights."""
    x, y = data()

    def go(evaluating: bool) -> torch.Tensor:
        net = model()
        crew = sequential_workers(net, SGD(lr=0.1), [sampler(k, 2) for k in range(2)], LabeledData(x, y))
        for _ in range(5):
            crew.step()
            if evaluating:
                evaluate(net, torch.zeros(PARAMETERS), NO_STATISTICS, LabeledData(x, y))
        return crew.weights()

    assert torch.equal(go(True), go(False))


def test_disable_malloc_trim_works_on_every_platform() -> None:
    assert disable_malloc_trim() is None
