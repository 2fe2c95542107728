"""From a suite file to its cells."""

import hashlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fdabench.cell_config import CellConfig, ComponentConfig, canonical_json
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.models.weight_files import MODEL_FILE
from fdabench.suite.cell import Cell
from fdabench.suite.reader import LoadedSuite, read_suite

SUITES = Path(__file__).parents[2] / "suites"

# the example of the documentation, word for word
EXAMPLE = """
name = "mnist"
description = "LeNet-5 on MNIST: who needs how many bytes to reach 98 %?"
seeds = [0, 1, 2]                 # paired: same start, partition and batches for every strategy of a seed

[budget]                          # the same for every strategy; whichever comes first
steps = 4000                      # local steps per worker (or epochs = 20)

[eval]
every_steps = 100                 # or every_epochs = 1
targets = [0.97, 0.98]
consecutive = 1                           # consecutive evaluations at or above the target; 3 is robust to noise
stop_at_last_target = false

[accounting]
convention = "paper"              # paper | star | ring | upload: a cost applied on reading the ledger, never a rerun

[[workload]]
dataset = "mnist"
model = "lenet5"
workers = [5, 10]                 # lists are crossed
batch_size = 32
optimizer = { kind = "adam", lr = 1e-3, eps = 1e-7 }
partition = [{ kind = "iid" }, { kind = "dirichlet", alpha = [1.0, 0.1] }]

[[strategy]]
kind = "synchronous"
reference = true

[[strategy]]
kind = "fedavg"
local_epochs = 1                  # or local_steps = 50

[[strategy]]
kind = "fedadam"
local_epochs = 1
server = { lr = 1e-3 }
optimizer = { kind = "sgd", lr = 0.01 }      # a strategy may bring its own local optimizer, as the paper's FedAdam does

[[strategy]]
kind = "fda"
monitor = ["naive", "linear", { kind = "sketch", depth = 5, width = 250 }]
theta = [0.5, 1.0, 3.0]           # or theta = { per_parameter = 3.89e-5 }

[[exclude]]
workers = 10
alpha = 0.1
"""

Read = Callable[..., LoadedSuite]
Table = dict[str, Any]


def by_label(suite: LoadedSuite) -> dict[str, Cell]:
    return {cell.label: cell for cell in suite.cells}


def with_inputs(path: Path, folder: Path) -> Path:
    """Copy a suite to a folder like a clone that has the text of the suite pretrain and a model that it saved."""
    (copied := folder / "suites" / path.name).parent.mkdir()
    copied.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (text := folder / "data/state-of-the-union/Washington/1790.txt").parent.mkdir(parents=True)
    text.write_text("Fellow-Citizens of the Senate and House of Representatives. " * 25_000, encoding="utf-8")
    (model := folder / "results/pretrain/cells/0" / MODEL_FILE).parent.mkdir(parents=True)
    torch.save(init_model(MODELS["gpt-nano"], (64,), 256, 0).state_dict(), model)
    return copied


@pytest.fixture
def ids(read: Read) -> Callable[..., list[str]]:
    """The ids of a suite's cells, in order."""
    return lambda suite, *overrides: [cell.id for cell in read(suite, *overrides).cells]


@pytest.mark.parametrize("path", sorted(SUITES.rglob("*.toml")), ids=lambda path: path.relative_to(SUITES).as_posix())
def test_every_suite_in_the_repository_loads(path: Path, tmp_path: Path) -> None:
    if path.stem in ("pretrain", "finetune"):
        path = with_inputs(path, tmp_path)
    suite = read_suite(path)
    assert len(suite.cells) == len({cell.id for cell in suite.cells}) > 0
    assert suite.suite.description
    assert path.read_text(encoding="utf-8").startswith("#"), "a comment says what the suite shows"


def test_the_documented_example_expands_to_its_cells(read: Read) -> None:
    suite = read(EXAMPLE)
    strategies, workloads, seeds = 3 + 3 * 3, 2 * 3 - 1, 3
    assert len(suite.cells) == strategies * workloads * seeds
    assert {(c.config.workers, c.config.partition.parameters.get("alpha")) for c in suite.cells} == {
        (5, None),
        (5, 1.0),
        (5, 0.1),
        (10, None),
        (10, 1.0),
    }
    assert {c.config.optimizer.kind for c in suite.cells if c.label == "FedAdam"} == {"sgd"}
    assert {c.config.optimizer.parameters["eps"] for c in suite.cells if c.label != "FedAdam"} == {1e-7}
    assert [c.is_reference for c in suite.cells] == [c.label == "Synchronous" for c in suite.cells]


def test_lists_are_crossed_at_every_depth(good: Table, read: Read) -> None:
    good["workload"][0] |= {"workers": [2, 4], "optimizer": {"kind": "adam", "lr": [1e-3, 1e-2]}}
    good["strategy"] = [
        {"kind": "fda", "monitor": ["naive", {"kind": "sketch", "width": [10, 20]}], "theta": [1.0, 2.0]}
    ]
    suite = read(good)
    actual = {
        (c.config.workers, c.config.optimizer.parameters["lr"], str(c.config.strategy.parameters["monitor"]), c.label)
        for c in suite.cells
    }
    assert len(suite.cells) == len(actual) == 2 * 2 * 3 * 2


def test_a_kind_as_text_equals_a_table_with_that_kind(good: Table, read: Read) -> None:
    good["workload"][0]["partition"] = "iid"
    good["strategy"] = [
        {"kind": "fda", "monitor": "naive", "theta": 1},
        {"kind": "fedavg", "local_steps": 5, "server": "momentum"},
        {"kind": "fedadam", "local_steps": 5, "server": {"preset": "keras"}},
        {"kind": "fda", "monitor": "linear", "theta": 1, "server": {"kind": "adam", "preset": "reddi"}},
    ]
    configs = [cell.config for cell in read(good).cells]
    assert [config.partition.to_table() for config in configs] == [{"kind": "iid"}] * 4
    assert configs[0].strategy.component("monitor") == ComponentConfig("naive")
    servers = [server.kind for config in configs if (server := config.strategy.component("server"))]
    assert servers == ["average", "momentum", "adam-keras", "adam-reddi"]


def test_fedadam_without_a_preset_has_a_note_on_its_adam(good: Table, read: Read) -> None:
    good["strategy"] = [{"kind": "fedadam", "local_steps": 5, "server": {"lr": 0.5}}]
    suite = read(good)
    server = suite.cells[0].config.strategy.component("server")
    assert server is not None
    assert (server.kind, server.parameters["lr"]) == ("adam-reddi", 0.5)
    (note,) = suite.notes
    assert "strategy.0: no server.preset" in note
    assert "reddi" in note


@pytest.mark.parametrize("server", [{"preset": "reddi"}, {"kind": "adam-keras"}, "adam-keras"])
def test_fedadam_that_names_its_adam_gets_no_note(good: Table, read: Read, server: Any) -> None:
    good["strategy"] = [{"kind": "fedadam", "local_steps": 5, "server": server}]
    assert read(good).notes == ()


def test_duplicate_cells_run_once_and_have_a_note(good: Table, read: Read) -> None:
    good["workload"][0]["partition"] = ["iid", {"kind": "iid"}]
    good["strategy"] *= 2
    suite = read(good)
    assert len(suite.cells) == 3
    assert suite.notes == ("9 cells came up twice and are run once",)


def test_the_id_is_twelve_hex_digits_of_the_canonical_json(good: Table, read: Read) -> None:
    assert canonical_json({"b": {"d": 0.1, "c": 1}, "a": "θ"}) == '{"a":"\\u03b8","b":{"c":1,"d":0.1}}'
    (cell, *_) = read(good).cells
    assert cell.id == hashlib.sha256(cell.canonical_json.encode()).hexdigest()[:12]
    assert cell.canonical_json == json.dumps(cell.config.to_dict(), sort_keys=True, separators=(",", ":"))


def test_the_ids_of_a_suite_are_those_of_earlier_versions(good: Table, ids: Callable[..., list[str]]) -> None:
    """They name folders of results that people have; a change here makes all of them run again."""
    assert ids(good) == ["15014baee745", "0d6fa38fe4b0", "4e3fae03e3cb"]


@pytest.mark.parametrize(
    "change",
    [
        ["name=other"],
        ["description=words"],
        ["tuning=words"],
        ["eval.targets=[0.7, 0.8]"],
        ["eval.consecutive=3"],
        ["accounting.convention=ring"],
        ["strategy.0.name=Mine", "strategy.1.reference=true"],
        ["strategy.2.theta=1", "workload.0.partition.alpha=1", "strategy.1.local_epochs=1.0"],
        ["strategy.2.monitor=sketch"],
        ["workload.0.sampling=shuffle"],
    ],
    ids=lambda change: change[0].split("=")[0],
)
def test_settings_without_effect_on_numbers_do_not_change_the_ids(
    good: Table, ids: Callable[..., list[str]], change: list[str]
) -> None:
    assert ids(good, *change) == ids(good)


def test_the_order_of_keys_and_tables_does_not_change_the_ids(good: Table, ids: Callable[..., list[str]]) -> None:
    turned = {key: good[key] for key in reversed(good)}
    turned["workload"] = [dict(reversed(table.items())) for table in good["workload"]]
    turned["strategy"] = [dict(reversed(table.items())) for table in reversed(good["strategy"])]
    assert list(turned) != list(good)
    assert sorted(ids(turned)) == sorted(ids(good))


@pytest.mark.parametrize(
    "change",
    [
        "seeds=[1]",
        "eval.every_steps=20",
        "budget.steps=41",
        "workload.0.workers=5",
        "workload.0.batch_size=17",
        "workload.0.sampling=replacement",
        "workload.0.averaging=samples",
        "workload.0.partition.alpha=0.5",
        "workload.0.optimizer.lr=1e-2",
        "workload.0.optimizer.state_on_sync=reset",
    ],
)
def test_settings_with_an_effect_on_numbers_change_every_id(
    good: Table, ids: Callable[..., list[str]], change: str
) -> None:
    assert set(ids(good, change)).isdisjoint(ids(good))


def test_theta_changes_only_its_own_cell(good: Table, ids: Callable[..., list[str]]) -> None:
    before, after = ids(good), ids(good, "strategy.2.theta=1.5")
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, True, False]


def test_targets_count_where_they_end_the_run(good: Table, ids: Callable[..., list[str]]) -> None:
    good["eval"]["stop_at_last_target"] = True
    assert ids(good) != ids(good, "eval.targets=[0.6]")
    assert ids(good) == ids(good, "eval.targets=[0.1, 0.5]")


@pytest.mark.parametrize(
    ("strategies", "expected"),
    [
        ([{"kind": "fda", "monitor": "linear", "theta": [1, 0.5]}], ["LinearFDA θ=1", "LinearFDA θ=0.5"]),
        ([{"kind": "fda", "monitor": ["naive", "exact"], "theta": 1}], ["NaiveFDA", "ExactFDA"]),
        ([{"kind": "fedavg", "local_epochs": 1}], ["FedAvg"]),
        (
            [{"kind": "fedavg", "local_epochs": [1, 0.5]}, {"kind": "fedavg", "local_steps": 50}],
            ["FedAvg E=1", "FedAvg E=0.5", "FedAvg τ=50"],
        ),
        (
            [{"kind": "fda", "monitor": "naive", "theta": [2, {"per_parameter": 1e-5}]}],
            ["NaiveFDA θ=2", "NaiveFDA θ/d=1e-05"],
        ),
        (
            [{"kind": "fedavg", "local_steps": 5, "server": ["average", "momentum"]}],
            ["FedAvg average", "FedAvg momentum"],
        ),
        (
            [{"kind": "synchronous", "optimizer": {"kind": "sgd", "lr": [0.1, 0.2]}}],
            ["Synchronous lr=0.1", "Synchronous lr=0.2"],
        ),
        (
            [{"kind": "fedavg", "local_steps": 5, "name": "Mine"}, {"kind": "fedavgm", "local_steps": 5}],
            ["Mine", "FedAvgM"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_a_label_is_the_family_and_what_varies(
    good: Table, read: Read, strategies: list[Table], expected: list[str]
) -> None:
    good["strategy"] = strategies
    assert [cell.label for cell in read(good).cells] == expected


PERIOD: Table = {"kind": "period", "local_steps": 10}
QSR: Table = {"rate": 0.6, "least": 4}
SCAFFOLD: Table = {"kind": "scaffold", "of": "gradient"}
TOPK: Table = {"kind": "topk", "share": [0.01, 0.1]}


@pytest.mark.parametrize(
    ("strategies", "expected"),
    [
        (
            [{"kind": "rounds", "when": PERIOD, "server": ["average", "nesterov"], "codec": "int8"}],
            ["Period int8", "Period nesterov int8"],
        ),
        (
            [{"kind": "rounds", "when": [PERIOD, {"kind": "doubling", "every_steps": 5}], "correction": SCAFFOLD}],
            ["Period scaffold", "Doubling scaffold"],
        ),
        (
            [{"kind": "rounds", "when": PERIOD}, {"kind": "rounds", "when": {"kind": "period", "local_steps": 5}}],
            ["Period τ=10", "Period τ=5"],
        ),
        (
            [{"kind": "fedavg", "local_steps": 5, "codec": TOPK, "feedback": [1.0, 0.9]}],
            [f"FedAvg topk share={share} β={decay}" for decay in ("1", "0.9") for share in (0.01, 0.1)],
        ),
        (
            [
                {"kind": "fedavg", "local_steps": 5, "codec": "int8"},
                {"kind": "fedavg", "local_steps": 5, "codec": "sign", "feedback": 1.0},
            ],
            ["FedAvg int8", "FedAvg sign"],
        ),
        (
            [{"kind": "qsr", "when": QSR}, {"kind": "rounds", "when": {"kind": "qsr", **QSR}}],
            ["QSR", "QSR #2"],
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value[0], str) else "",
)
def test_labels_have_added_components_after_the_trigger_with_their_settings(
    good: Table, read: Read, strategies: list[Table], expected: list[str]
) -> None:
    good["strategy"] = strategies
    assert [cell.label for cell in read(good).cells] == expected


def test_a_cross_of_all_four_roles_has_as_many_short_labels_as_cells(good: Table, read: Read) -> None:
    good["strategy"] = [
        {
            "kind": "rounds",
            "when": [PERIOD, {"kind": "doubling", "every_steps": 5, "most": [8, 32]}],
            "server": ["average", {"kind": "nesterov", "momentum": [0.5, 0.9]}],
            "codec": ["int8", TOPK],
            "feedback": [0.9, 1.0],
            "correction": [SCAFFOLD, {"kind": "prox", "mu": [0.01, 0.1]}],
        }
    ]
    labels = [cell.label for cell in read(good).cells]
    assert len(labels) == len(set(labels)) == 3 * 3 * 3 * 2 * 3
    assert max(map(len, labels)) <= 75
    assert not any("average" in label for label in labels)


def test_labels_distinguish_all_strategies_of_a_workload(read: Read) -> None:
    cells = read(EXAMPLE).cells
    assert len({(cell.label, str(cell.config.strategy)) for cell in cells}) == len({cell.label for cell in cells})


def test_the_reference_is_the_flagged_strategy_else_synchronous_else_none(good: Table, read: Read) -> None:
    assert [cell.is_reference for cell in read(good).cells] == [True, False, False]
    assert [cell.is_reference for cell in read(good, "strategy.1.reference=true").cells] == [False, True, False]
    good["strategy"] = good["strategy"][1:]
    assert [cell.is_reference for cell in read(good).cells] == [False, False]


def test_an_exclude_that_matches_nothing_has_a_note(good: Table, read: Read) -> None:
    expanded = read(good | {"exclude": [{"monitor": "nope"}]})
    assert [note for note in expanded.notes if "exclude" in note] == ['exclude: no cell matches { monitor = "nope" }']
    assert len(expanded.cells) == len(read(good).cells)


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ({"strategy": "fda"}, ["Synchronous", "FedAvg"]),
        ({"monitor": "sketch", "theta": 1}, ["Synchronous", "FedAvg"]),
        ({"strategy": ["fda", "fedavg"]}, ["Synchronous"]),
        ({"strategy": "fda", "workers": 5}, ["Synchronous", "FedAvg", "SketchFDA"]),
        ({"strategy": "fda", "alpha": 1, "partition": "dirichlet", "seed": 0}, ["Synchronous", "FedAvg"]),
    ],
)
def test_exclude_leaves_out_cells_that_match_every_key(
    good: Table, read: Read, exclude: Table, left: list[str]
) -> None:
    assert [cell.label for cell in read(good | {"exclude": [exclude]}).cells] == left


def test_the_title_distinguishes_cells(good: Table, read: Read) -> None:
    good["workload"][0] |= {"workers": [2, 4], "partition": ["iid", {"kind": "dirichlet", "alpha": [0.1, 1]}]}
    cells = read(good, "seeds=[0, 1]").cells
    assert len({cell.title for cell in cells}) == len(cells) == 2 * 3 * 2 * 3
    assert "Synchronous | digits mlp | dirichlet(0.1) | K=4 b=16 s1" in {cell.title for cell in cells}


def test_the_lock_can_be_written_as_toml_and_holds_every_config(good: Table, read: Read) -> None:
    import tomli_w

    suite = read(good, "budget.steps=7")
    lock = tomllib.loads(tomli_w.dumps(suite.to_lock().to_dict()))
    assert lock["overrides"] == ["budget.steps=7"]
    assert {entry["id"]: entry["config"] for entry in lock["cell"]} == {c.id: c.config.to_dict() for c in suite.cells}
    assert {entry["id"]: Cell(CellConfig.from_table(entry["config"]), "", False).id for entry in lock["cell"]} == {
        c.id: c.id for c in suite.cells
    }
