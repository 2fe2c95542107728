"""A results folder without training: LeNet-5 on MNIST with 10 workers, as in the FDA paper.

The evaluations and the syncs are arguments, so tests know every number.
"""

import json
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdabench.accounting.costs import PAPER, ByteCounts
from fdabench.results.folder import ResultsFolder
from fdabench.results.suite_lock import SuiteLock
from support.components import components_of
from support.digits_results import make_record, reduced

WORKERS, PARAMETERS, SAMPLES = 10, 61_706, 60_000
MODEL_BYTES = 4 * PARAMETERS
ADAM = {
    "kind": "adam",
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-7,
    "weight_decay": 0.0,
    "state_on_sync": "keep",
}
LINEAR = {"kind": "fda", "monitor": {"kind": "linear"}, "theta": 1.0, "every": 1, "server": {"kind": "average"}}


@dataclass(frozen=True)
class SyntheticCell:
    """One cell: (step, accuracy, round) of each evaluation, the steps with a sync, the bytes of one local state."""

    evals: Sequence[tuple[int, float, int]]
    syncs: Sequence[int]
    seed: int = 0
    label: str = "LinearFDA"
    strategy: Mapping[str, Any] | None = None
    state: int = 8
    changes: Mapping[str, Any] | None = None
    reference: bool = False
    """The first cell always is the reference."""


def write_lenet5_results(root: Path, cells: Sequence[SyntheticCell], convention: str = "paper", **lock: Any) -> Path:
    """Write all cells into the folder `root` and return it; `lock` replaces entries of the lock file."""
    store = ResultsFolder(root)
    entries = [_entry(i, cell) for i, cell in enumerate(cells)]
    store.write_lock(
        SuiteLock.from_table(
            {
                "fdabench": "0.1.0",
                "suite": root.name,
                "description": "",
                "tuning": "by hand",
                "source": "hand.toml",
                "overrides": [],
                "seeds": sorted({cell.seed for cell in cells}),
                "targets": [0.98],
                "consecutive": 1,
                "comparison": ">=",
                "convention": convention,
                "components": components_of(entry["config"] for entry in entries),
                **lock,
                "cell": entries,
            }
        )
    )
    for entry, cell in zip(entries, cells, strict=True):
        _write(store, entry, cell)
    return root


def _entry(index: int, cell: SyntheticCell) -> dict[str, Any]:
    served = (cell.strategy or LINEAR)["kind"] == "fedadam"
    config = {
        "dataset": "mnist",
        "model": "lenet5",
        "workers": WORKERS,
        "batch_size": 32,
        "sampling": "replacement",
        "last_batch": "wrap",
        "averaging": "uniform",
        "partition": {"kind": "iid-file-order" if served else "round-robin"},
        "optimizer": dict(ADAM),
        "strategy": deepcopy(dict(cell.strategy or LINEAR)),
        "budget": {"epochs": 100.0},
        "eval": {"every_epochs": 1.0, "model": "paper"},
        "seed": cell.seed,
        **(cell.changes or {}),
    }
    return {"id": f"{index:012x}", "label": cell.label, "reference": index == 0 or cell.reference, "config": config}


def _write(store: ResultsFolder, entry: Mapping[str, Any], cell: SyntheticCell) -> None:
    config, steps = entry["config"], cell.evals[-1][0]
    ledger = [_row("initial", 0, 0, MODEL_BYTES), *(_row("model", step, step, MODEL_BYTES) for step in cell.syncs)]
    ledger += [_row("state", 1, steps, cell.state)] if cell.state else []
    evals = [{"cell_id": entry["id"], **_eval(*item, config)} for item in cell.evals]
    tables = {"evals": evals, "ledger": ledger, "rounds": [], "trace": [], "partition": []}
    store.write_tables(entry["id"], tables, json.dumps(config))
    theta = {"theta": config["strategy"]["theta"]} if "theta" in config["strategy"] else {}
    resolved = {"num_parameters": PARAMETERS, **theta}
    store.write_record(make_record(entry["id"], config=config, steps=steps, resolved=resolved))


def _row(kind: str, first: int, last: int, payload: int) -> dict[str, Any]:
    facts = {"kind": kind, "first_step": first, "last_step": last, "count": last - first + 1}
    return facts | {"elements": payload // 4, "dtype": "float32", "payload_bytes": payload} | reduced(payload)


def _eval(step: int, accuracy: float, round_: int, config: Mapping[str, Any]) -> dict[str, Any]:
    reading: dict[str, Any] = {**ByteCounts(0, 0, 0).columns(PAPER)}
    reading |= dict.fromkeys(("test_loss", "train_loss", "train_accuracy", "variance", "wall_s"), 0.0)
    epoch = step * config["workers"] * config["batch_size"] / SAMPLES
    where = {"step": step, "epoch": epoch, "round": round_, "syncs": round_ - 1, "after_sync": False}
    return reading | where | {"test_accuracy": accuracy, "estimate": math.nan}
