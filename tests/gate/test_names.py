"""Names of cells: the same whatever else a suite has, and different where the cells are."""

from typing import Any

import pytest

from fdabench.cell_config import CellConfig
from fdabench.gate.baseline.keys import cell_key

CONFIG: dict[str, Any] = {
    "dataset": "digits",
    "model": "mlp",
    "workers": 4,
    "batch_size": 32,
    "optimizer": {"kind": "adam", "lr": 1e-3},
    "partition": {"kind": "dirichlet", "alpha": 0.1, "shares": "per-class", "min_samples": 1},
    "sampling": "shuffle",
    "last_batch": "wrap",
    "averaging": "uniform",
    "precision": "fp32",
    "batchnorm_stats": "local",
    "strategy": {"kind": "synchronous", "server": {"kind": "average"}},
    "budget": {"steps": 60},
    "eval": {"every_steps": 20},
    "seed": 0,
}


def key(table: dict[str, Any]) -> str:
    return cell_key(CellConfig.from_table(table))


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": {"kind": "adam", "lr": 1e-4}},
        {"partition": {**CONFIG["partition"], "shares": "per-worker"}},
        {"sampling": "replacement"},
        {"last_batch": "drop"},
        {"averaging": "samples"},
        {"precision": "bf16"},
        {"batchnorm_stats": "averaged"},
        {"workers": 5},
        {"batch_size": 16},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_setting_of_a_workload_has_its_own_cell_name(change: dict[str, Any]) -> None:
    assert key({**CONFIG, **change}) != key(CONFIG)


def test_the_seed_is_not_in_the_name() -> None:
    assert key({**CONFIG, "seed": 1}) == key(CONFIG)


def test_values_other_than_the_defaults_are_shown() -> None:
    assert key(CONFIG).startswith("synchronous | digits mlp | dirichlet(0.1) | K=4 b=32 #")
    changed = key({**CONFIG, "sampling": "replacement", "averaging": "samples"})
    assert changed.startswith(
        "synchronous | digits mlp | dirichlet(0.1) | K=4 b=32 sampling=replacement averaging=samples #"
    )
