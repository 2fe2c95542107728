"""`cell.json` and `suite.lock.toml`: written as they were read, and refused with the name of an invalid key."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from fdabench.accounting.costs import CONVENTIONS
from fdabench.errors import ResultError
from fdabench.results.files import write_json
from fdabench.results.folder import ResultsFolder
from fdabench.results.suite_lock import ConventionName

WRITTEN_RECORD = """{
  "schema": "2",
  "id": "a",
  "state": "failed",
  "label": "LinearFDA θ=1",
  "attempts": 2,
  "resumed_at_step": 7,
  "started": "2026-01-01T00:00:00+00:00",
  "process": {
    "host": "here",
    "pid": 1
  },
  "config": {
    "dataset": "digits",
    "model": "mlp",
    "workers": 2,
    "batch_size": 32,
    "optimizer": {
      "kind": "sgd",
      "lr": 0.01,
      "momentum": 0
    },
    "partition": {
      "kind": "iid"
    },
    "strategy": {
      "kind": "fda",
      "theta": {
        "per_parameter": 1e-05
      },
      "monitor": {
        "kind": "sketch",
        "depth": 5
      }
    },
    "budget": {
      "steps": 8
    },
    "eval": {
      "every_steps": 4
    },
    "seed": 0
  },
  "resolved": {
    "num_parameters": 10,
    "steps_per_epoch": 2.0
  },
  "seeds": {
    "weights": 4611686018427387905
  },
  "code": {
    "engine/loop.py": "00"
  },
  "environment": {
    "torch": "2.9.0",
    "threads": 1,
    "deterministic": false
  },
  "engine": "sequential",
  "processes": 1,
  "mean": "ordered",
  "together": 1,
  "error": "Traceback",
  "plugin": "mine.py:3",
  "remarks": [
    "no checkpoint"
  ],
  "ended": "2026-01-01T00:01:00+00:00"
}
"""


def test_a_record_is_written_as_it_was_read(tmp_path: Path) -> None:
    path, store = tmp_path / "cells" / "a" / "cell.json", ResultsFolder(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(WRITTEN_RECORD, encoding="utf-8")
    record = store.read_record("a")
    assert record is not None
    path.unlink()
    store.write_record(record)
    assert path.read_text(encoding="utf-8") == WRITTEN_RECORD


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"attempts": "x"}, "attempts: fdabench writes no 'x' there"),
        ({"attempts": True}, "attempts: fdabench writes no True there"),
        ({"environment": {"torch": []}}, r"environment\.torch: fdabench writes no \[\] there"),
        ({"config": {}}, r"config\.dataset is missing"),
        ({"host": "here"}, "host: unknown key"),
        ({"state": "done"}, "steps is missing, though the state is done"),
        ({"id": "b"}, "the record belongs to the cell 'b', but is in the folder of a"),
    ],
)
def test_a_record_that_fdabench_does_not_write_is_refused_by_its_key(
    tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    path = tmp_path / "cells" / "a" / "cell.json"
    write_json(path, {**json.loads(WRITTEN_RECORD), **changes})
    with pytest.raises(ResultError, match=rf"a/cell\.json: {fault}; without a, its folder, `run` does the cell again"):
        ResultsFolder(tmp_path).read_record("a")


def test_a_lock_may_have_each_convention_of_the_accounting() -> None:
    assert get_args(ConventionName) == tuple(CONVENTIONS)


WRITTEN_LOCK = """schema = "2"
suite_revision = "abc1234"
fdabench = "0.1.0"
suite = "s"
description = "FDA"
tuning = "none"
source = "s.toml"
overrides = [
    "seeds=[0]",
]
seeds = [
    0,
]
targets = [
    0.9,
]
headline = 0.9
consecutive = 1
comparison = ">="
convention = "paper"
network = [
    { name = "lan", bandwidth_mbps = 100.0, latency_ms = 0.0, shared = false },
]

[[plugins]]
name = "mine.py"
adds = [
    "strategies.mine",
]

[plugins.code]
"plug-in mine.py" = "00"

[gate]
accuracy_margin = 0.005
soft = 0.0

[[gate.limit]]
max_bytes = 1000000.0
cells = [
    "a",
]

[components.strategies.fda]
name = "FDA monitor"
references = [
    "theologitis2025",
]

[components.monitors.linear]

[[cell]]
id = "a"
label = "LinearFDA"
reference = false

[cell.config]
dataset = "digits"
model = "mlp"
workers = 2
batch_size = 32
seed = 0

[cell.config.optimizer]
kind = "sgd"
lr = 0.01

[cell.config.partition]
kind = "iid"

[cell.config.strategy]
kind = "fda"

[cell.config.strategy.theta]
per_parameter = 1e-05

[cell.config.budget]
epochs = 8.0

[cell.config.eval]
every_steps = 4

[end]
cells = 1
"""


def test_a_lock_is_written_as_it_was_read(tmp_path: Path) -> None:
    store = ResultsFolder(tmp_path)
    store.lock_path.write_text(WRITTEN_LOCK, encoding="utf-8")
    lock = store.read_lock()
    store.lock_path.unlink()
    store.write_lock(lock)
    assert store.lock_path.read_text(encoding="utf-8") == WRITTEN_LOCK


@pytest.mark.parametrize(
    ("was", "becomes", "fault"),
    [
        ('suite = "s"', 'suite = "../s"', r"suite: '\.\./s' is no name that fdabench gives"),
        ('suite = "s"\n', "", "suite is missing"),
        ("    0.9,", '    "x",', r"targets\.0: fdabench writes no 'x' there"),
        ('"paper"', '"papier"', "convention: 'papier' is none of 'paper', 'star', 'ring' or 'upload'"),
        ('name = "FDA monitor"', "name = 3", r"components\.strategies\.fda: name: expected one line of text, found 3"),
        ('name = "FDA monitor"', "size = 3", r"components\.strategies\.fda: .*unexpected keyword argument 'size'"),
        ("workers = 2", "wokers = 2", r"cell\.0\.config\.workers is missing"),
        ("cells = 1", "cells = 2", "its end, which counts its cells, is missing or wrong"),
    ],
)
def test_a_lock_that_fdabench_does_not_write_is_refused_by_its_key(
    tmp_path: Path, was: str, becomes: str, fault: str
) -> None:
    (tmp_path / "suite.lock.toml").write_text(WRITTEN_LOCK.replace(was, becomes), encoding="utf-8")
    with pytest.raises(ResultError, match=rf"suite\.lock\.toml: {fault}; `run` writes a new one if it is deleted"):
        ResultsFolder(tmp_path).read_lock()
