"""The sequential and the vectorized engine: equal up to rounding, for layers of every kind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fdabench.core.counter_rng import UINT32_MASK, derive_key, murmur3_mix
from fdabench.engine.arrays import LabeledData
from fdabench.engine.dropout_keys import dropout_keys, dropout_layers, seed_tensor
from fdabench.engine.evaluate import evaluate
from fdabench.engine.flatten import bind_parameters, flatten, parameters, running_stats, unflatten
from fdabench.engine.gradients.selection import ENGINES, resolve_engine
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.models.dropout import Dropout
from fdabench.optimizers.adam import Adam
from fdabench.optimizers.sgd import SGD
from support.toy import sampler

CLASSES, WORKERS, SIDE = 3, 4, 8
EXAMPLES = LabeledData(
    torch.randn(240, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1)), torch.arange(240) % CLASSES
)


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 5, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(45, CLASSES))


def dropping() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 5, 3),
        nn.ReLU(),
        Dropout(0.2),
        nn.Flatten(),
        nn.Linear(180, 8),
        Dropout(0.5),
        nn.Linear(8, CLASSES),
    )


def normalized() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(180, CLASSES)
    )


MODELS = {"convolutional": convolutional, "dropping": dropping, "normalized": normalized}
every_model = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
every_engine = pytest.mark.parametrize("engine", ENGINES)


def built(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a model with fixed weights and without zero inputs of ReLUs, where rounding would change the gradient."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return build()


def workers(engine: str, build: Callable[[], nn.Module], stored: range = range(WORKERS), **options: Any) -> Workers:
    net = built(build)
    training = TrainingConfig(net, SGD(lr=0.05, momentum=0.9), EXAMPLES, ENGINES[engine], **options)
    return Workers(training, [WorkerGroup(net, [sampler(k, WORKERS) for k in stored], [100 + k for k in stored])])


@every_model
def test_both_engines_take_equal_steps_up_to_rounding(build: Callable[[], nn.Module]) -> None:
    one, other = (workers(engine, build) for engine in ENGINES)
    for _ in range(10):
        losses, same = one.step(), other.step()
        assert torch.allclose(losses.loss_K, same.loss_K, rtol=1e-4, atol=1e-5)
        assert torch.equal(losses.accuracy_K, same.accuracy_K)
    assert torch.allclose(one.weights(), other.weights(), rtol=1e-4, atol=1e-5)
    assert torch.allclose(one.statistics(), other.statistics(), rtol=1e-4, atol=1e-5)
    assert not torch.equal(one.weights()[0], one.weights()[1])


@every_engine
def test_batches_of_unequal_size_are_separate(engine: str) -> None:
    """Worker 1 holds fewer samples than a batch; alone it takes the steps that it takes among the others."""

    class Few:
        def next_batch(self) -> Any:
            return np.array([1, 5, 9])

    net = built(normalized)
    training = TrainingConfig(net, SGD(lr=0.05), EXAMPLES, ENGINES[engine])
    together = Workers(training, [WorkerGroup(net, [sampler(0, WORKERS), Few(), sampler(2, WORKERS)], [1, 2, 3])])
    alone = Workers(training, [WorkerGroup(built(normalized), [Few()], [2])])
    for _ in range(3):
        losses, actual = together.step(), alone.step()
        assert losses.loss_K[1] == pytest.approx(actual.loss_K[0].item(), rel=1e-5)
    assert torch.allclose(together.weights()[1], alone.weights()[0], rtol=1e-5, atol=1e-6)
    assert torch.allclose(together.statistics()[1], alone.statistics()[0], rtol=1e-5, atol=1e-6)


@every_model
def test_a_sequential_workers_steps_do_not_depend_on_the_other_workers(build: Callable[[], nn.Module]) -> None:
    """Bitwise, masks of dropout and running statistics included: any process may hold it."""
    together, alone = workers("sequential", build), workers("sequential", build, range(2, 3))
    for _ in range(5):
        together.step()
        alone.step()
    assert torch.equal(together.weights()[2], alone.weights()[0])
    assert torch.equal(together.statistics()[2], alone.statistics()[0])


@every_engine
def test_running_statistics_are_those_of_one_module_for_each_worker(engine: str) -> None:
    crew, net, actual = workers(engine, normalized), built(normalized), sampler(1, WORKERS)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(5):
        crew.step()
        samples = torch.from_numpy(actual.next_batch())
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(EXAMPLES.x[samples]), EXAMPLES.y[samples]).backward()
        optimizer.step()
    expected = torch.cat([net[1].running_mean, net[1].running_var])  # type: ignore[list-item]
    assert torch.allclose(crew.statistics()[1], expected, rtol=1e-4, atol=1e-5)
    assert list(running_stats(net)) == ["1.running_mean", "1.running_var"]


def test_the_evaluated_model_uses_the_given_running_statistics() -> None:
    net, generator = built(normalized), torch.Generator().manual_seed(4)
    w_D, b_B = flatten(parameters(net)), torch.rand(10, generator=generator)
    actual = evaluate(net, w_D, b_B, EXAMPLES)
    net[1].running_mean, net[1].running_var = b_B[:5], b_B[5:]  # type: ignore[assignment]
    loss = nn.functional.cross_entropy(net.eval()(EXAMPLES.x), EXAMPLES.y)
    assert actual.loss == pytest.approx(loss.item(), rel=1e-5)


@every_model
def test_a_row_is_the_model_with_kernels_in_channels_last_order(build: Callable[[], nn.Module]) -> None:
    net = built(build)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    w_D, b_B = flatten(parameters(net)), flatten(list(running_stats(net).values()))
    bind_parameters(net, w_D, b_B)
    assert all(torch.equal(was, now) for was, now in zip(before, net.parameters(), strict=True))
    kernel = next(unflatten(w_D, parameters(net)))
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(w_D[:2], before[0][0, :, 0, 0])


def test_auto_is_sequential_on_a_cpu_and_vectorized_on_other_devices() -> None:
    assert resolve_engine("auto", torch.device("cpu")) == "sequential"
    assert resolve_engine("auto", torch.device("cuda")) == "vectorized"
    assert resolve_engine("vectorized", torch.device("cpu")) == "vectorized"


def ones(dropout: Dropout, key: int, shape: tuple[int, ...]) -> Tensor:
    dropout.key = torch.tensor(key)
    return dropout(torch.ones(shape))


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_drops_the_given_fraction_and_keeps_the_mean(rate: float) -> None:
    """A million coins: six standard errors."""
    dropped = torch.cat([ones(Dropout(rate), 1 + key, (100, 100)) for key in range(100)])
    assert dropped.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])
    assert abs((dropped == 0).double().mean() - rate) < 6 * (rate * (1 - rate) / 1e6) ** 0.5


def test_masks_of_different_keys_and_places_are_independent() -> None:
    """Correlations of 100,000 coins, between neighboring keys and between neighboring places: six errors of 1 / n."""
    n, dropout = 100_000, Dropout(0.5)
    coins = torch.stack([ones(dropout, key, (n,)) - 1 for key in (0, 1, 2, 1 << 16, UINT32_MASK)]).double()
    apart = coins @ coins.T / n - torch.eye(len(coins))
    assert apart.abs().max() < 6 / n**0.5
    assert (coins[:, 1:] * coins[:, :-1]).mean(1).abs().max() < 6 / n**0.5


def test_dropout_does_nothing_in_evaluation_mode() -> None:
    x = torch.randn(5, 7)
    assert torch.equal(Dropout(0.9).eval()(x), x)


def test_the_mixing_function_is_the_published_one_and_a_bijection() -> None:
    """MurmurHash3's finalizer in plain Python; no two of a million numbers come to the same."""

    def murmur(h: int) -> int:
        h ^= h >> 16
        h = h * 0x85EBCA6B & UINT32_MASK
        h ^= h >> 13
        h = h * 0xC2B2AE35 & UINT32_MASK
        return h ^ h >> 16

    numbers = [0, 1, 2, 12345, 1 << 31, UINT32_MASK]
    assert murmur3_mix(torch.tensor(numbers)).tolist() == [murmur(number) for number in numbers]
    assert len(murmur3_mix(torch.arange(1_000_000)).unique()) == 1_000_000


def test_every_worker_step_and_layer_has_its_own_dropout_key() -> None:
    seed_K = seed_tensor([5, 6, 7 + (1 << 40)], torch.device("cpu"))
    actual = torch.cat([dropout_keys(seed_K, step, 4).flatten() for step in range(100)])
    assert len(actual.unique()) == 3 * 100 * 4
    assert dropout_keys(seed_K, 3, 4)[1, 2] == derive_key(derive_key(torch.tensor(6), 3), torch.tensor(2))
    assert len(dropout_layers(built(dropping))) == 2


@every_engine
@pytest.mark.parametrize("build", [convolutional, normalized])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_reduced_precision_applies_to_products_only(
    engine: str, precision: str, build: Callable[[], nn.Module]
) -> None:
    crew = workers(engine, build, precision=precision)
    plain = workers(engine, build)
    crew.step()
    plain.step()
    assert crew.weights().dtype == crew.rows.g_KD.dtype == torch.float32
    apart = (crew.weights() - plain.weights()).abs().max()
    assert apart == 0 if precision == "fp32" else 1e-6 < apart < 1e-2


def test_float32_products_are_not_rounded_to_tf32_by_default() -> None:
    flags = torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision  # type: ignore[attr-defined]
    visited = []

    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            visited.append(torch.backends.cuda.matmul.fp32_precision)
            return x

    for precision in ("fp32", "tf32"):
        workers("sequential", lambda: nn.Sequential(convolutional(), Spy()), range(1), precision=precision).step()
    assert visited == ["ieee", "tf32"]
    assert flags == (torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision)  # type: ignore[attr-defined]


@every_engine
def test_cells_in_one_matrix_equal_separate_cells_also_after_others_end(engine: str) -> None:
    """Three crews with weights, batches and masks of their own; the second leaves after three steps."""
    nets = [built(dropping) for _ in range(3)]
    with torch.no_grad():
        for net in nets[1:]:
            next(net.parameters()).mul_(0.5)

    def crew(n: int) -> WorkerGroup:
        return WorkerGroup(nets[n], [sampler(k + n, WORKERS) for k in range(2)], [10 * n, 10 * n + 1])

    training = TrainingConfig(built(dropping), Adam(lr=0.01), EXAMPLES, ENGINES[engine])
    alone = [Workers(training, [crew(n)]) for n in range(3)]
    together = Workers(training, [crew(n) for n in range(3)])
    for step in range(6):
        if step == 3:
            assert torch.allclose(together.weights(1), alone[1].weights(), rtol=1e-4, atol=1e-5)
            together.retain_groups([0, 2])
        for item in (together, *alone):
            item.step()
    for n, at in ((0, 0), (2, 1)):
        if engine == "sequential":
            assert torch.equal(together.weights(at), alone[n].weights())
        assert torch.allclose(together.weights(at), alone[n].weights(), rtol=1e-4, atol=1e-5)
