from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fdabench.engine.arrays import LabeledData
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.errors import WorkloadError
from fdabench.models import MODELS, convnext
from fdabench.models.base import ModelSpec, count_parameters, glorot, init_model
from fdabench.optimizers.sgd import SGD
from fdabench.torchvision_compat import import_torchvision

SHAPE, CLASSES = (3, 32, 32), 5
FILE = "convnext_large-ea097f82.pth"


def small() -> Any:
    """Torchvision's network with two blocks, of 8 and 16 channels."""
    made = import_torchvision("models.convnext")
    return made.ConvNeXt([made.CNBlockConfig(8, 16, 1), made.CNBlockConfig(16, None, 1)], stochastic_depth_prob=0.0)


def build(shape: tuple[int, ...], classes: int) -> nn.Module:
    return convnext.replace_head(small(), classes)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A replacement of torchvision's weights; `state` is their content, or an error."""

    def get_state_dict(**options: Any) -> dict[str, Tensor]:
        if isinstance(made.state, Exception):
            raise made.state
        return made.state

    entry = SimpleNamespace(url=f"https://example.org/{FILE}", get_state_dict=get_state_dict)
    made = SimpleNamespace(state={})
    module = SimpleNamespace(ConvNeXt_Large_Weights=SimpleNamespace(IMAGENET1K_V1=entry))
    monkeypatch.setattr(convnext, "import_torchvision", lambda submodule: module)
    return made


def test_a_small_model_returns_logits_and_its_head_is_initialized_by_glorot() -> None:
    model = init_model(ModelSpec(build, SHAPE, ""), SHAPE, CLASSES, 0)
    logits = model(torch.rand(2, *SHAPE))
    assert logits.shape == (2, CLASSES)
    assert logits.isfinite().all()
    for layer in (model.hidden, model.logits):
        assert isinstance(layer, nn.Linear)
        bound = (6 / sum(layer.weight.shape)) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


def test_the_head_is_that_of_the_paper_and_its_input_has_one_pixel() -> None:
    with torch.device("meta"):
        model = MODELS["convnext-large"].build(SHAPE, 100)
        pixels = model[0](torch.rand(2, *SHAPE))
    assert pixels.shape == (2, 1536, 1, 1)
    head = [layer for layer in model[2:] if list(layer.parameters())]
    assert [sum(w.numel() for w in layer.parameters()) for layer in head] == [1536 * 512 + 512, 512 * 100 + 100]
    assert model.dropout.rate == 0.5


def test_both_engines_take_equal_steps_with_a_small_model() -> None:
    generator = torch.Generator().manual_seed(1)
    examples = LabeledData(torch.randn(32, *SHAPE, generator=generator), torch.arange(32) % CLASSES)

    class Sampler:
        def __init__(self, k: int) -> None:
            self.rng = np.random.default_rng(k)

        def next_batch(self) -> Any:
            return self.rng.permutation(32)[:8]

    def workers(engine: str) -> Workers:
        model = init_model(ModelSpec(build, SHAPE, ""), SHAPE, CLASSES, 0)
        training = TrainingConfig(model, SGD(lr=0.05), examples, ENGINES[engine])
        return Workers(training, [WorkerGroup(model, [Sampler(0), Sampler(1)], [1, 2])])

    one, other = (workers(engine) for engine in ENGINES)
    for _ in range(2):
        assert torch.allclose(one.step().loss_K, other.step().loss_K, rtol=1e-4)
    assert torch.allclose(one.weights(), other.weights(), rtol=1e-4, atol=1e-5)


def test_pretrained_weights_replace_the_backbone_and_not_the_head(published: Any) -> None:
    with torch.no_grad():
        net = small()
        for w in net.parameters():
            w.fill_(0.25)
    published.state = net.state_dict()
    scratch = ModelSpec(build, SHAPE, "")
    model = init_model(ModelSpec(build, SHAPE, "", pretrained=convnext.pretrained_imagenet), SHAPE, CLASSES, 3)
    samples = init_model(scratch, SHAPE, CLASSES, 3)
    for (name, w), same in zip(model.named_parameters(), samples.parameters(), strict=True):
        if name.startswith(("features.", "norm.")):
            assert (w == 0.25).all(), name
        else:
            assert torch.equal(w, same), name


def test_the_published_weights_have_every_name_but_those_of_the_last_layer(published: Any) -> None:
    """Of the real network's, on the meta device."""
    with torch.device("meta"):
        published.state = import_torchvision("models").convnext_large(weights=None).state_dict()
        model = convnext.replace_head(import_torchvision("models").convnext_large(weights=None), 100)
    named = dict(model.named_parameters())
    actual = convnext.pretrained_imagenet()
    assert {name: w.shape for name, w in actual.items()}.items() <= {name: w.shape for name, w in named.items()}.items()
    assert {name.split(".")[0] for name in named.keys() - actual.keys()} == {"hidden", "logits"}


@pytest.mark.parametrize("error", [URLError("no network"), RuntimeError("invalid hash value")], ids=repr)
def test_without_weights_the_error_states_how_to_get_them(
    published: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, error: Exception
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    published.state = error
    with pytest.raises(WorkloadError) as raised:
        convnext.pretrained_imagenet()
    assert str(tmp_path / "checkpoints" / FILE) in str(raised.value)
    assert "The model convnext-large needs no file" in str(raised.value)


def test_counting_parameters_downloads_nothing() -> None:
    def refuse() -> NoReturn:
        raise AssertionError

    architecture = ModelSpec(lambda shape, classes: glorot(nn.Linear(2, classes)), None, "", pretrained=refuse)
    assert count_parameters(architecture, SHAPE, 3) == 9
