"""Models of other libraries by name: built without a network, equal on both engines, and clear errors."""

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.errors import WorkloadError
from fdabench.models.base import init_model
from fdabench.models.dropout import Dropout
from fdabench.models.sources.base import fit_to_engines, open_model
from fdabench.models.sources.torchvision_model import TorchvisionModel
from fdabench.planning.inspect_model import inspect_model

SHAPE = (1, 28, 28)


def test_a_model_of_torchvision_agrees_on_both_engines() -> None:
    name, spec = open_model(TorchvisionModel("resnet18"), "torchvision")
    facts = inspect_model(spec, SHAPE, 10)
    assert name == "torchvision-resnet18"
    assert facts.parameters == 11_181_642
    assert facts.statistics == 9600
    assert facts.tied == []
    assert facts.engines_agree, facts


def test_gray_images_give_the_output_of_their_color_copies() -> None:
    _, spec = open_model(TorchvisionModel("resnet18"), "torchvision")
    gray, color = (init_model(spec, shape, 10, 3).eval() for shape in (SHAPE, (3, 28, 28)))
    x = torch.rand(2, *SHAPE)
    assert torch.equal(gray(x), color(x.expand(-1, 3, -1, -1)))


def test_dropout_is_replaced_and_other_random_layers_are_refused() -> None:
    class DropPath(nn.Module):
        pass

    model = fit_to_engines(nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.25))))
    assert [module.rate for module in model.modules() if isinstance(module, Dropout)] == [0.25]
    assert not any(type(module) is nn.Dropout for module in model.modules())
    with pytest.raises(WorkloadError, match=r"random numbers in training \(DropPath\)"):
        fit_to_engines(nn.Sequential(DropPath()))


def test_weights_replace_tensors_of_the_same_shape_and_name_the_model(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    file = tmp_path / "a.safetensors"
    _, samples = open_model(TorchvisionModel("resnet18"), "torchvision")
    arguments = init_model(samples, (3, 28, 28), 7, 1).state_dict()
    safetensors.save_file(arguments, file)
    name, spec = open_model(TorchvisionModel("resnet18", file.as_posix()), "torchvision")
    actual = init_model(spec, (3, 28, 28), 10, 2).state_dict()
    fresh = init_model(samples, (3, 28, 28), 10, 2).state_dict()
    assert name.startswith("torchvision-resnet18-")
    for key, tensor in actual.items():
        assert torch.equal(tensor, fresh[key] if key.startswith("fc.") else arguments[key]), key


def test_a_misspelt_model_gets_the_nearest_name() -> None:
    done = CliRunner().invoke(app, ["inspect", "--model", '{ kind = "torchvision", name = "resnt18" }'])
    assert isinstance(done.exception, SystemExit) or done.exit_code == 2
    assert 'did you mean "resnet18"?' in done.output
