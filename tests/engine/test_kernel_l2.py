"""The L2 penalty on kernels, against autograd on the explicit penalty."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fdabench.engine.arrays import LabeledData
from fdabench.engine.flatten import flatten, kernel_mask, parameters
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.optimizers.sgd import SGD
from support.toy import sampler

L2, WORKERS, CLASSES = 0.03, 3, 3
EXAMPLES = LabeledData(
    torch.randn(240, 2, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(240) % CLASSES
)
every_engine = pytest.mark.parametrize("engine", ENGINES)


def net() -> nn.Sequential:
    """A convolution with a bias and one without, and a linear layer; all weights away from zero."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = nn.Sequential(
            nn.Conv2d(2, 5, 3, bias=False),
            nn.BatchNorm2d(5),
            nn.Tanh(),
            nn.Conv2d(5, 4, 3),
            nn.Flatten(),
            nn.Linear(64, CLASSES),
        )
        for w in model.parameters():
            nn.init.normal_(w, 0.3, 0.1)
        return model


def workers(engine: str, **options: Any) -> Workers:
    model = net()
    training = TrainingConfig(model, SGD(lr=0.05, momentum=0.9), EXAMPLES, ENGINES[engine], **options)
    stored = range(WORKERS)
    return Workers(training, [WorkerGroup(model, [sampler(k, WORKERS) for k in stored], list(stored))])


def penalty(model: nn.Module) -> Tensor:
    layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return L2 * torch.stack([layer.weight.square().sum() for layer in layers]).sum()


@every_engine
def test_steps_are_those_of_the_penalty_written_into_the_loss(engine: str) -> None:
    crew, model, actual = workers(engine, kernel_l2=L2), net(), sampler(1, WORKERS)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(4):
        losses, samples = crew.step(), torch.from_numpy(actual.next_batch())
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(EXAMPLES.x[samples]), EXAMPLES.y[samples])
        (loss + penalty(model)).backward()
        optimizer.step()
        assert losses.loss_K[1].item() == pytest.approx(loss.item(), rel=1e-4), "reported without the penalty"
    assert torch.allclose(crew.weights()[1], flatten(parameters(model)), rtol=1e-4, atol=1e-5)


@every_engine
def test_gradients_of_biases_and_of_batch_normalization_are_unchanged(engine: str) -> None:
    plain, decayed = workers(engine), workers(engine, kernel_l2=L2)
    w_KD = plain.weights().clone()
    plain.step()
    decayed.step()
    kernel_D = kernel_mask(net(), 1.0).bool()
    assert torch.equal(decayed.rows.g_KD[:, ~kernel_D], plain.rows.g_KD[:, ~kernel_D])
    added_KD = (decayed.rows.g_KD - plain.rows.g_KD)[:, kernel_D]
    assert torch.allclose(added_KD, 2 * L2 * w_KD[:, kernel_D], atol=1e-5)


def test_kernels_are_those_of_convolutions_and_of_linear_layers() -> None:
    """Conv 5 x 2 x 3 x 3, scale and shift of 5, conv 4 x 5 x 3 x 3 and 4 biases, linear 3 x 64 and 3 biases."""
    expected = [0.5] * 90 + [0.0] * 10 + [0.5] * 180 + [0.0] * 4 + [0.5] * 192 + [0.0] * 3
    assert kernel_mask(net(), 0.5).tolist() == expected
    assert not kernel_mask(net(), 0.5).requires_grad


def test_without_a_kernel_penalty_no_decay_vector_is_kept() -> None:
    assert workers("sequential")._decay_D is None
    with_it = workers("sequential", kernel_l2=L2)
    assert with_it._decay_D is not None
    assert with_it._decay_D.shape == with_it.weights()[0].shape
