from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from fdabench.models import MODELS
from fdabench.models.base import count_parameters, init_model
from fdabench.models.dropout import Dropout

IMAGES, DIGITS = (3, 32, 32), (1, 28, 28)
GPTS = dict.fromkeys(("gpt-nano", "gpt-micro", "gpt-mini"), (64,))
SHAPES = {"mlp": (1, 8, 8), "lenet5": DIGITS, "vgg16star": DIGITS} | GPTS
PARAMETERS = {
    ("mlp", 10): 51_466,
    ("lenet5", 10): 61_706,
    ("vgg16star", 10): 2_592_202,
    ("cnn", 10): 89_834,
    ("densenet121", 10): 6_964_106,
    ("densenet201", 10): 18_112_138,
    ("convnext-large", 100): 197_068_580,
    ("convnext-large-imagenet", 100): 197_068_580,
    ("gpt-nano", 256): 120_064,
    ("gpt-micro", 256): 365_280,
    ("gpt-mini", 256): 832_256,
}
# 200 million numbers take seconds to draw; a small ConvNeXt has tests of its own
LARGE = {"convnext-large"}
every_model = pytest.mark.parametrize("name", MODELS)
every_drawn_model = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else [])
        for name, architecture in MODELS.items()
        if architecture.pretrained is None
    ],
)


def shape_of(name: str) -> tuple[int, ...]:
    return SHAPES.get(name, IMAGES)


def draw(name: str, seed: int, classes: int = 10) -> nn.Module:
    return init_model(MODELS[name], shape_of(name), classes, seed)


@pytest.mark.parametrize(("name", "classes", "parameters"), [(*key, size) for key, size in PARAMETERS.items()])
def test_a_model_has_this_many_parameters(name: str, classes: int, parameters: int) -> None:
    """All of them trainable; counted without allocating any, hence without pretrained weights."""
    assert count_parameters(MODELS[name], shape_of(name), classes) == parameters
    assert f"{parameters:,} parameters" in MODELS[name].description
    with torch.device("meta"):
        model = MODELS[name].build(shape_of(name), classes)
    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == parameters


def test_every_model_has_an_expected_number_of_parameters() -> None:
    assert {name for name, _ in PARAMETERS} == set(MODELS)


@every_model
def test_a_model_accepts_images_of_its_declared_shape(name: str) -> None:
    assert MODELS[name].input_shape in (None, shape_of(name))


def test_the_layers_of_lenet5_are_those_of_the_paper() -> None:
    sizes = [sum(parameter.numel() for parameter in layer.parameters()) for layer in draw("lenet5", 0)]
    assert [size for size in sizes if size] == [156, 2416, 48120, 10164, 850]


def fans(weight: Tensor) -> tuple[int, int]:
    """The fan-in and the fan-out of a kernel."""
    field = weight[0, 0].numel()
    return weight.shape[1] * field, weight.shape[0] * field


def law_of(name: str, layer: str, weight: Tensor) -> tuple[float, float]:
    """The standard deviation and the bound of the distribution of a kernel."""
    if name.startswith("densenet") and weight.dim() == 4:  # He: normal, cut off at two widths
        deviation = sqrt(2 / fans(weight)[0])
        return deviation, 2 * deviation / 0.8796
    if name.startswith("convnext") and layer.startswith("features."):  # normal of width 0.02; six widths never happen
        return 0.02, 0.12
    if name.startswith("gpt"):  # normal, narrower where a layer adds to its input
        layers = {"gpt-nano": 2, "gpt-micro": 3, "gpt-mini": 4}[name]
        deviation = 0.02 / sqrt(2 * layers) if layer.endswith(("project_out", "reduce")) else 0.02
        return deviation, 6 * deviation
    bound = sqrt(6 / sum(fans(weight)))  # Glorot: uniform
    return bound / sqrt(3), bound


@every_drawn_model
def test_kernels_have_the_declared_distribution_and_biases_are_zero(name: str) -> None:
    """Glorot's uniform law, but for the convolutions of models that say otherwise."""
    kernels = 0
    for layer, module in draw(name, 3).named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            kernels += 1
            weight = module.weight.detach()
            deviation, bound = law_of(name, layer, weight)
            largest = float(weight.abs().max())
            assert largest <= bound * (1 + 1e-5)
            # a normal law cut off, or a uniform one, comes near to its bound
            assert largest > (0.9 if bound < 2 * deviation else 0.75 if bound < 3 * deviation else 0.3) * bound
            # the smallest kernel has 150 numbers
            assert float(weight.std()) == pytest.approx(deviation, rel=0.2 if weight.numel() < 1000 else 0.05)
            assert module.bias is None or not module.bias.any()
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()
    assert kernels > 2


@every_drawn_model
def test_the_initial_weights_depend_on_the_seed_only(name: str) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, same, other = (draw(name, seed) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(w, again) for w, again, _ in pairs)
    assert not all(torch.equal(w, apart) for w, _, apart in pairs)


@every_drawn_model
@pytest.mark.parametrize("classes", [10, 100])
def test_a_model_returns_a_logit_for_each_class(name: str, classes: int) -> None:
    shape = shape_of(name)
    if MODELS[name].task == "next-token":
        logits = draw(name, 0, classes)(torch.arange(2 * shape[0]).view(2, -1) % classes)
        assert logits.shape == (2, *shape, classes)
    else:
        logits = draw(name, 0, classes)(torch.rand(2, *shape))
        assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@every_model
def test_only_batch_normalization_and_dropout_have_buffers(name: str) -> None:
    """But for the running statistics of batch normalization, and dropout's keys, which the engine gives anew."""
    with torch.device("meta"):
        model = MODELS[name].build(shape_of(name), 10)
    for module in model.modules():
        stored = {buffer for buffer, _ in module.named_buffers(recurse=False)}
        if isinstance(module, nn.BatchNorm2d):
            assert stored == {"running_mean", "running_var", "num_batches_tracked"}
        else:
            assert stored == ({"key"} if isinstance(module, Dropout) else set())


@every_model
def test_only_the_dropout_of_fdabench_is_random(name: str) -> None:
    """Whatever else draws while training would depend on the order of execution."""
    with torch.device("meta"):
        model = MODELS[name].build(shape_of(name), 10)
    foreign = [module for module in model.modules() if type(module).__module__ == "torch.nn.modules.dropout"]
    assert foreign == []
    depths = [module.p for module in model.modules() if type(module).__name__ == "StochasticDepth"]
    assert not any(depths)
