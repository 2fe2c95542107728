"""Fine-tuning: trained parameters, initial weights, and adapters as changes of a weight."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fdabench.errors import WorkloadError
from fdabench.models import MODELS
from fdabench.models.base import ModelSpec, count_frozen, count_parameters, init_model
from fdabench.models.fine_tuning import FineTuning, fine_tuned, freeze
from fdabench.models.lora import LoraConfig, LoraLinear, merged_state
from fdabench.models.weight_files import find_weights

NANO, CONTEXT, BYTES = MODELS["gpt-nano"], (64,), 256
ATTENTION = LoraConfig(4, ("project_in", "project_out"), 8.0)


def tuned(settings: FineTuning) -> ModelSpec:
    return fine_tuned("gpt-nano", NANO, settings)[1]


def weights(path: Path, seed: int = 3, model: str = "gpt-nano") -> dict[str, Tensor]:
    state = init_model(MODELS[model], CONTEXT, BYTES, seed).state_dict()
    torch.save(state, path)
    return state


def test_adapters_keep_the_initial_output_and_have_the_expected_number_of_parameters() -> None:
    spec = tuned(FineTuning(lora=ATTENTION))
    plain, adapted = (init_model(item, CONTEXT, BYTES, 1) for item in (NANO, spec))
    tokens = torch.randint(BYTES, (2, 64))
    assert torch.equal(plain(tokens), adapted(tokens))
    # two layers, each 64 to 192 and 64 to 64
    assert count_parameters(spec, CONTEXT, BYTES) == 2 * 4 * (64 + 192 + 64 + 64)
    assert count_frozen(spec, CONTEXT, BYTES) == count_parameters(NANO, CONTEXT, BYTES)


def test_adapters_of_full_rank_on_a_frozen_zero_weight_train_as_the_layer() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 3, bias=False)
    zero = nn.Linear(5, 3, bias=False)
    nn.init.zeros_(zero.weight)
    zero.weight.requires_grad_(False)
    adapted = LoraLinear(zero, 5, 5.0)
    with torch.no_grad():
        adapted.lora_A.copy_(torch.eye(5))
        adapted.lora_B.copy_(layer.weight)
    x, y = torch.randn(7, 5), torch.randn(7, 3)
    pairs = (layer, layer.weight), (adapted, adapted.lora_B)
    for _ in range(20):
        for module, trained in pairs:
            (gradient,) = torch.autograd.grad((module(x) - y).square().mean(), [trained])
            with torch.no_grad():
                trained -= 0.1 * gradient
        assert torch.allclose(layer.weight, adapted.merged_weight(), atol=1e-6)


def test_the_merged_weights_are_those_of_a_model_without_adapters_that_computes_the_same() -> None:
    adapted = init_model(tuned(FineTuning(lora=ATTENTION)), CONTEXT, BYTES, 1)
    for module in adapted.modules():
        if isinstance(module, LoraLinear):
            nn.init.normal_(module.lora_B, std=0.1)
    plain = init_model(NANO, CONTEXT, BYTES, 2)
    plain.load_state_dict(merged_state(adapted))
    tokens = torch.randint(BYTES, (2, 64))
    assert torch.allclose(plain(tokens), adapted(tokens), atol=1e-4)


def test_patterns_select_parameters_and_modules() -> None:
    model = freeze(init_model(NANO, CONTEXT, BYTES, 0), FineTuning(trainable=("blocks.1", "norm.*")))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained[-2:] == ["norm.weight", "norm.bias"]
    assert all(name.startswith("blocks.1.") for name in trained[:-2])
    assert len(trained) == 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (FineTuning(trainable=("block.1.*",)), 'trainable: "block.1.*" selects no parameter.*there are tokens.weight'),
        (FineTuning(trainable=("norms",)), 'did you mean "norm"'),
        (FineTuning(lora=LoraConfig(2, ("projekt_in",), 2.0)), 'did you mean "project_in"'),
        (FineTuning(lora=LoraConfig(2, ("tokens",), 2.0)), "selects no linear layer.*blocks.0.attention.project_in"),
    ],
)
def test_a_name_that_selects_nothing_is_an_error_with_the_nearest_names(settings: FineTuning, message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        freeze(init_model(NANO, CONTEXT, BYTES, 0), settings)


def test_a_model_begins_from_a_file_and_its_name_has_the_content_and_not_the_path(tmp_path: Path) -> None:
    arguments = weights(tmp_path / "a.pt")
    weights(tmp_path / "b.pt", seed=4)
    (tmp_path / "c.pt").write_bytes((tmp_path / "a.pt").read_bytes())
    (name_a, spec), (name_b, _), (name_c, _) = (
        fine_tuned("gpt-nano", NANO, FineTuning((tmp_path / f"{item}.pt").as_posix())) for item in "abc"
    )
    actual = init_model(spec, CONTEXT, BYTES, 9).state_dict()
    assert all(torch.equal(tensor, arguments[key]) for key, tensor in actual.items())
    assert name_a == name_c != name_b


def test_weights_of_another_architecture_are_refused_with_the_name_of_a_tensor(tmp_path: Path) -> None:
    weights(tmp_path / "micro.pt", model="gpt-micro")
    spec = tuned(FineTuning((tmp_path / "micro.pt").as_posix()))
    with pytest.raises(
        WorkloadError, match=r"another architecture: tokens.weight has shape \[256, 96\], and \[256, 64\]"
    ):
        init_model(spec, CONTEXT, BYTES, 0)


class _RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this file runs code",)


@pytest.mark.parametrize("content", ["code", "list", "text", "cut"])
def test_a_file_without_tensors_by_name_is_refused_and_runs_no_code(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.pt"
    if content == "code":
        torch.save({"w": _RunsCode()}, file)
    elif content == "list":
        torch.save([torch.zeros(2)], file)
    elif content == "text":
        file.write_text("these are no weights")
    else:
        weights(file)
        file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(WorkloadError, match=r"init: .*w\.pt: "):
        tuned(FineTuning(file.as_posix()))
    assert capsys.readouterr().out == ""


def test_a_folder_of_results_names_the_cells_that_have_a_model(tmp_path: Path) -> None:
    for cell in ("aa11", "ab22"):
        (tmp_path / "cells" / cell).mkdir(parents=True)
        (tmp_path / "cells" / cell / "model.pt").touch()
    assert find_weights(f"{tmp_path}#aa") == tmp_path / "cells" / "aa11" / "model.pt"
    assert find_weights(f"{tmp_path}/cells/ab22") == tmp_path / "cells" / "ab22" / "model.pt"
    for place, message in (
        (f"{tmp_path}", "several cells have a model; write .*#ID with one of aa11, ab22"),
        (f"{tmp_path}#a", '2 cells with a model have an id that begins with "a"'),
        (f"{tmp_path}#c", "0 cells"),
        (f"{tmp_path / 'cells'}", "run its suite with --save-model"),
        (f"{tmp_path / 'missing'}", "there is no such file or folder"),
    ):
        with pytest.raises(WorkloadError, match=message):
            find_weights(place)


def test_parameters_of_a_sequential_model_keep_their_names() -> None:
    model = nn.Sequential(OrderedDict(first=nn.Linear(3, 4), second=nn.Linear(4, 2)))
    before = set(model.state_dict())
    freeze(model, FineTuning(lora=LoraConfig(1, ("second",), 1.0)))
    assert before < set(model.state_dict())
    assert [name for name, w in model.named_parameters() if w.requires_grad] == ["second.lora_A", "second.lora_B"]
