"""Every example of docs/models.md is trained unchanged, with files of the names on the page."""

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.models.sources import SOURCES
from fdabench.models.weight_files import MODEL_FILE
from fdabench.suite.reader import read_suite
from fdabench.torchvision_compat import import_torchvision

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^model = (.*)$", "\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)), re.MULTILINE)
BUILT_IN = [text for text in EXAMPLES if "kind = " not in text]
OF_LIBRARIES = [text for text in EXAMPLES if "kind = " in text]
PACKAGES = {"torchvision": (), "timm": ("timm", "safetensors"), "hf": ("transformers", "safetensors")}
VIT = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 4,
}


def suite(model: str, dataset: str) -> str:
    return f"""
name = "page"
budget.steps = 2
eval.every_steps = 2
eval.samples = 20
[[workload]]
dataset = "{dataset}"
model = {model}
workers = 2
batch_size = 4
optimizer = {{ kind = "adamw", lr = 1e-3 }}
[[strategy]]
kind = "fedavg"
local_steps = 2
"""


def trained(folder: Path, model: str, dataset: str) -> tuple[ResolvedCell, TrainingResult]:
    """Train the only cell of a suite with an example of the page."""
    (file := folder / "suite.toml").write_text(suite(model, dataset))
    loaded = read_suite(file)
    (cell,) = (ResolvedCell(item.config, loaded.registry) for item in loaded.cells)
    (done,) = train_cells([CellJob("0" * 12, cell)], loaded.registry.datasets[dataset].load(folder))
    assert isinstance(done, TrainingResult), done
    assert done.state == "done"
    return cell, done


def skip_without_packages(model: str) -> None:
    kind = str(tomllib.loads(f"_ = {model}")["_"]["kind"])
    missing = [name for name in PACKAGES[kind] if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")


def test_the_page_has_an_example_of_every_source_and_every_key_of_fine_tuning() -> None:
    assert {tomllib.loads(f"_ = {text}")["_"]["kind"] for text in OF_LIBRARIES} == set(SOURCES) == set(PACKAGES)
    keys = {key for text in EXAMPLES for key in tomllib.loads(f"_ = {text}")["_"]}
    assert {"init", "trainable", "lora", "base", "weights"} <= keys


@pytest.mark.parametrize("model", BUILT_IN)
def test_an_example_of_fine_tuning_trains_what_it_names(model: str, tmp_path: Path) -> None:
    table = tomllib.loads(f"_ = {model}")["_"]
    # `init = "results/pretrain#4656"` begins from this cell
    (saved := tmp_path / "results/pretrain/cells" / "46560a1b2c3d" / MODEL_FILE).parent.mkdir(parents=True)
    arguments = init_model(MODELS["gpt-nano"], (64,), 256, 7).state_dict()
    torch.save(arguments, saved)
    cell, done = trained(tmp_path, model, "shakespeare")
    assert 0 < cell.num_parameters < 120_064
    sent = {row["kind"]: row["payload_bytes"] for row in done.tables["ledger"]}
    assert sent["model"] == 4 * cell.num_parameters
    assert ("base" in sent) == (table.get("base") == "sent")
    weights = done.get_weights()
    assert weights is not None
    if "init" in table:
        assert torch.equal(weights["tokens.weight"], arguments["tokens.weight"])


@pytest.mark.slow
@pytest.mark.parametrize("model", OF_LIBRARIES)
def test_an_example_of_another_library_is_trained(model: str, tmp_path: Path) -> None:
    skip_without_packages(model)
    (tmp_path / "vit-small").mkdir()
    (tmp_path / "vit-small" / "config.json").write_text(json.dumps(VIT))
    if "weights" in model:
        safetensors = pytest.importorskip("safetensors.torch", reason="the package safetensors is not installed")
        whole = import_torchvision("models").resnet18()
        safetensors.save_file(whole.state_dict(), tmp_path / "resnet18.safetensors")
    cell, done = trained(tmp_path, model, "digits")
    sent = {row["kind"]: row["payload_bytes"] for row in done.tables["ledger"]}
    assert sent["model"] == 4 * cell.num_parameters > 0
    assert done.tables["evals"][-1]["step"] == 2


@pytest.mark.slow
def test_the_command_of_the_page_inspects_a_model_with_both_engines() -> None:
    (command,) = re.findall(r"^fdabench (inspect --model .*)$", PAGE, re.MULTILINE)
    done = CliRunner().invoke(app, shlex.split(command))
    assert done.exit_code == 0, done.output
    assert "engines agree" in done.output
