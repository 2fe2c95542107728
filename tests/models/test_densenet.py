from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from fdabench.engine.arrays import LabeledData
from fdabench.engine.evaluate import evaluate
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.models import MODELS
from fdabench.models.base import ModelSpec, init_model
from fdabench.models.densenet import build
from fdabench.models.dropout import Dropout
from fdabench.optimizers.sgd import SGD
from fdabench.torchvision_compat import import_torchvision

SHAPE, CLASSES, BATCH = (3, 32, 32), 10, 8
TINY = ModelSpec(partial(build, 4, (2, 2)), SHAPE, "", kernel_l2=1e-4)
every_size = pytest.mark.parametrize("name", ["densenet121", "densenet201"])


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return MODELS[name].build(SHAPE, CLASSES)


def noise(samples: int) -> LabeledData:
    generator = torch.Generator().manual_seed(2)
    return LabeledData(torch.randn(samples, *SHAPE, generator=generator), torch.arange(samples) % CLASSES)


def two_workers(architecture: ModelSpec, engine: str, examples: LabeledData, lr: float) -> Workers:
    """Two workers with half of the samples each."""
    model = init_model(architecture, SHAPE, CLASSES, 1)
    local = SGD(lr=lr, momentum=0.9, nesterov=True)
    training = TrainingConfig(model, local, examples, ENGINES[engine], kernel_l2=architecture.kernel_l2)

    class Half:
        def __init__(self, k: int) -> None:
            self.samples, self.rng = np.arange(k, len(examples.y), 2), np.random.default_rng(k)

        def next_batch(self) -> np.ndarray:
            return self.rng.permutation(self.samples)[:BATCH]

    return Workers(training, [WorkerGroup(model, [Half(0), Half(1)], [7, 8])])


@every_size
def test_all_parameters_have_the_shapes_of_torchvisions_and_their_order(name: str) -> None:
    with torch.device("meta"):
        expected = getattr(import_torchvision("models"), name)(weights=None, num_classes=CLASSES)
    assert [w.shape for w in on_meta(name).parameters()] == [w.shape for w in expected.parameters()]


@every_size
def test_batch_normalization_and_dropout_are_those_of_the_paper(name: str) -> None:
    modules = list(on_meta(name).modules())
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, round(norm.momentum or 0, 12)) for norm in norms} == {(1.001e-5, 0.01)}
    dropouts = [module for module in modules if isinstance(module, Dropout)]
    # a stem, a head and three transitions besides two for each dense layer
    assert len(dropouts) == len(norms) - 5 == {"densenet121": 116, "densenet201": 196}[name]
    assert {dropout.rate for dropout in dropouts} == {0.2}
    assert MODELS[name].kernel_l2 == 1e-4


def test_the_first_dense_block_has_8_by_8_pixels_and_the_last_1_by_1() -> None:
    visited = []
    model = on_meta("densenet121")
    for module in model.modules():
        if type(module).__name__ == "_Dense":
            module.register_forward_hook(lambda module, inputs, output: visited.append(tuple(output.shape[1:])))
    model(torch.rand(2, *SHAPE, device="meta"))
    assert visited[0] == (96, 8, 8)
    assert [sum(shape[1] == side for shape in visited) for side in (8, 4, 2, 1)] == [6, 12, 24, 16]
    assert visited[-1] == (1024, 1, 1)


def test_the_output_of_a_dense_layer_begins_with_its_input() -> None:
    dense = next(m for m in init_model(TINY, SHAPE, CLASSES, 0).modules() if type(m).__name__ == "_Dense")
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(dense(x)[:, :8], x)
    assert dense(x).shape == (2, 12, 5, 5)


def test_both_engines_take_equal_steps_with_a_small_model() -> None:
    """Masks, statistics and the decay of kernels included."""
    one, other = (two_workers(TINY, engine, noise(64), 0.1) for engine in ENGINES)
    for _ in range(2):
        losses, same = one.step(), other.step()
        assert torch.allclose(losses.loss_K, same.loss_K, rtol=1e-4)
    assert torch.allclose(one.weights(), other.weights(), rtol=1e-4, atol=1e-5)
    assert torch.allclose(one.statistics(), other.statistics(), rtol=1e-4, atol=1e-5)
    assert not torch.equal(one.weights()[0], one.weights()[1])


@pytest.mark.slow
def test_training_densenet121_reduces_its_loss() -> None:
    """Two workers learn noise by heart; their statistics part, and the mean of both is a model that can be tested."""
    architecture, examples = MODELS["densenet121"], noise(2 * BATCH)
    workers = two_workers(architecture, "sequential", examples, 0.01)
    losses = [workers.step().loss_K for _ in range(12)]
    assert all(loss_K.isfinite().all() for loss_K in losses)
    assert (losses[-1] < 0.5 * losses[0]).all()
    b_KB = workers.statistics()
    assert b_KB.shape[1] == 2 * 41_824
    assert not torch.allclose(b_KB[0], b_KB[1])
    model = init_model(architecture, SHAPE, CLASSES, 1)
    actual = evaluate(model, workers.weights().mean(0), b_KB.mean(0), examples)
    assert 0 < actual.loss < 1e3
    assert 0 <= actual.accuracy <= 1
