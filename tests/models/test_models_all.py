from math import sqrt

import pytest
import torch
from torch import nn

from fdabench.models import MODELS
from fdabench.models.base import count_parameters, initialised

SHAPES = {"mlp": (1, 8, 8), "lenet5": (1, 28, 28), "vgg16star": (1, 28, 28), "cnn": (3, 32, 32)}
PARAMETERS = {"mlp": 51_466, "lenet5": 61_706, "vgg16star": 2_592_202, "cnn": 89_834}
every_model = pytest.mark.parametrize("name", MODELS)


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_a_model_has_this_many_parameters(name: str, parameters: int) -> None:
    assert count_parameters(MODELS[name], SHAPES[name], 10) == parameters
    model = initialised(MODELS[name], SHAPES[name], 10, 0)
    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == parameters


def test_the_layers_of_lenet5_are_those_of_the_paper() -> None:
    model = initialised(MODELS["lenet5"], SHAPES["lenet5"], 10, 0)
    sizes = [sum(parameter.numel() for parameter in layer.parameters()) for layer in model]
    assert [size for size in sizes if size] == [156, 2416, 48120, 10164, 850]


@every_model
def test_kernels_are_glorot_uniform_and_biases_zero(name: str) -> None:
    layers = [
        layer
        for layer in initialised(MODELS[name], SHAPES[name], 10, 3).modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    assert layers
    for layer in layers:
        field = layer.weight[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        fan_in, fan_out = layer.weight.shape[1] * field, layer.weight.shape[0] * field
        bound = sqrt(6 / (fan_in + fan_out))
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        # a uniform law on (-1, 1) has standard deviation 1 / sqrt(3); the smallest kernel has 150 numbers
        assert layer.weight.detach().std().item() == pytest.approx(bound / sqrt(3), rel=0.2)
        assert not layer.bias.any()


@every_model
def test_the_initial_weights_are_the_seeds_alone(name: str) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, same, other = (initialised(MODELS[name], SHAPES[name], 10, seed) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [torch.cat([parameter.flatten() for parameter in model.parameters()]) for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@every_model
@pytest.mark.parametrize("classes", [10, 100])
def test_a_model_answers_with_a_logit_for_each_class(name: str, classes: int) -> None:
    model = initialised(MODELS[name], SHAPES[name], classes, 0)
    logits = model(torch.rand(2, *SHAPES[name]))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@every_model
def test_nothing_is_kept_in_buffers(name: str) -> None:
    """But for the keys of dropout, which the engine gives anew at every step."""
    buffers = dict(initialised(MODELS[name], SHAPES[name], 10, 0).named_buffers())
    assert all(buffer.dtype == torch.int64 and key.endswith(".key") for key, buffer in buffers.items())
