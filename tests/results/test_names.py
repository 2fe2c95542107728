"""The names of strategies, partitions and models are the same in every output."""

from dataclasses import MISSING, fields
from typing import Any

import pytest

from fdabench.cell_config import ComponentConfig
from fdabench.models import MODELS
from fdabench.models.fine_tuning import FineTuning, fine_tuned
from fdabench.models.lora import LoraConfig
from fdabench.partitions.dirichlet import Dirichlet
from fdabench.registry.registry import BUILT_IN
from fdabench.results.names import model_titles, partition_name, strategy_family

PARTITIONS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "iid"}, "iid"),
    ({"kind": "dirichlet", "alpha": 0.1, "shares": "per-class", "min_samples": 1}, "dirichlet(0.1)"),
    ({"kind": "dirichlet", "alpha": 1.0, "shares": "per-worker", "min_samples": 1}, "dirichlet(1, per-worker)"),
    ({"kind": "dirichlet", "alpha": 0.5, "shares": "per-class", "min_samples": 10}, "dirichlet(0.5, min_samples=10)"),
    ({"kind": "sorted", "fraction": 0.6}, "sorted(0.6)"),
    ({"kind": "label", "label": 0}, "label(0)"),
]


@pytest.mark.parametrize(("table", "name"), PARTITIONS)
def test_the_name_of_a_partition_has_the_values_that_are_not_defaults(table: dict[str, Any], name: str) -> None:
    assert partition_name(table) == name


def test_a_name_leaves_out_default_values_only() -> None:
    defaults = {field.name: field.default for field in fields(Dirichlet) if field.default is not MISSING}
    assert partition_name({"kind": "dirichlet", "alpha": 0.1, **defaults}) == "dirichlet(0.1)"
    for key in defaults:
        assert partition_name({"kind": "dirichlet", "alpha": 0.1, **defaults, key: "other"}) != "dirichlet(0.1)"


@pytest.mark.parametrize(
    ("kind", "monitor", "name"),
    [("fda", "linear", "LinearFDA"), ("fda", "mine", "MineFDA"), ("fedavgm", "", "FedAvgM"), ("kamp", "", "kamp")],
)
def test_a_strategy_is_called_as_in_the_literature(kind: str, monitor: str, name: str) -> None:
    table = {"kind": kind} | ({"monitor": {"kind": monitor}} if monitor else {})
    assert strategy_family(ComponentConfig.from_table(table), BUILT_IN.info) == name


def adapters(alpha: float) -> LoraConfig:
    return LoraConfig(rank=4, targets=("project_in",), alpha=alpha)


def test_the_title_of_a_fine_tuned_model_has_a_hash_only_where_two_would_be_equal() -> None:
    def name_of(settings: FineTuning) -> str:
        return fine_tuned("gpt-nano", MODELS["gpt-nano"], settings)[0]

    lora, other, sent, part = (
        name_of(settings)
        for settings in (
            FineTuning(lora=adapters(4.0)),
            FineTuning(lora=adapters(8.0)),
            FineTuning(lora=adapters(4.0), base="sent"),
            FineTuning(trainable=("blocks.1",)),
        )
    )
    assert model_titles([lora, sent, part, "gpt-nano"]) == {
        lora: "gpt-nano LoRA 4",
        sent: "gpt-nano LoRA 4 (base sent)",
        part: "gpt-nano partly trained",
        "gpt-nano": "gpt-nano",
    }
    assert model_titles([lora, other])[other] == f"gpt-nano LoRA 4 {other[-8:]}"
    assert len(set(model_titles([lora, other]).values())) == 2
