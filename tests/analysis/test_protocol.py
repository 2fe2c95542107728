"""The suites of suites/paper have the protocol and the grids of the paper."""

from pathlib import Path

import pytest

from fdabench.analysis.protocol import protocol_differences
from fdabench.published.results import GRIDS, IID, PARTITIONS
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite

IMAGES = "images normalized by CIFAR-10's mean and deviation (published: ImageNet's)"
PAPER = Path(__file__).parents[2] / "suites" / "paper"
WHOLE = {
    "lenet5": "mnist-lenet5",
    "vgg16star": "mnist-vgg16star",
    "densenet121": "cifar10-densenet121",
    "densenet201": "cifar10-densenet201",
    "convnext-large-imagenet": "cifar100-convnext",
}
BIASED = {
    "lenet5": {"round-robin", "label(label=0)", "sorted(fraction=0.6)"},
    "vgg16star": {"round-robin", "label(label=0)", "label(label=8)"},
}


def cells(name: str) -> tuple[Cell, ...]:
    return read_suite(PAPER / f"{name}.toml").cells


@pytest.mark.parametrize("model", GRIDS)
def test_a_whole_suite_has_every_setting_of_table_1(model: str) -> None:
    grid, actual = GRIDS[model], cells(WHOLE[model])
    fda = [cell.config.to_dict() for cell in actual if cell.config.strategy.kind == "fda"]
    monitors = {"linear", "sketch"} | ({"naive"} if model == "lenet5" else set())
    partitions = BIASED.get(model, {"iid-file-order"})
    assert partitions <= {*IID, *PARTITIONS.values()}
    settings = {
        (item["workers"], item["strategy"]["monitor"]["kind"], item["strategy"]["theta"], str(item["partition"]))
        for item in fda
    }
    assert len(settings) == len(grid.workers) * len(monitors) * len(grid.thetas) * len(partitions) == len(fda)
    assert {item["workers"] for item in fda} == set(grid.workers)
    assert {item["strategy"]["theta"] for item in fda} == set(grid.thetas)
    assert {item["dataset"] for item in fda} == {grid.dataset}
    assert sum(cell.config.strategy.kind == "synchronous" for cell in actual) == len(grid.workers) * len(partitions)


@pytest.mark.parametrize("path", sorted(PAPER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_suite_differs_from_the_protocol_only_in_the_settings_that_it_varies(path: Path) -> None:
    allowed = {
        "eval.every_steps = 10",
        "eval.every_steps = 40",
        "eval.every_steps = 100",
        "batchnorm_stats = averaged",
    }
    if path.stem.startswith("cifar10-"):
        allowed.add(IMAGES)
    if path.stem.startswith("cifar100"):
        allowed.add(
            "images normalized by CIFAR-100's mean and deviation before the model's own (published: by ImageNet's)"
        )
    if "round-robin" in path.stem:
        # the other kind is what it is there to show
        allowed.add("partition = iid-file-order (published: round-robin)")
    if {"controls", "small"} & set(path.stem.split("-")) and path.stem.startswith("mnist-lenet5"):
        # FedAdam beside FDA, on FDA's partition
        allowed.add("partition = round-robin (published: iid-file-order)")
    if "controls" in path.stem:
        allowed |= {f"server.lr = {lr}" for lr in ("0.003", "0.01")} | {"optimizer.lr = 0.1"}
    message = {
        part
        for cell in read_suite(path).cells
        for part in protocol_differences(cell.config, cell.label).split(", ")
        if part
    }
    assert message <= allowed


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("cifar10-densenet121-fedavgm", "fedavgm"),
        ("mnist-lenet5-fedadam", "fedadam"),
        ("mnist-vgg16star-fedadam", "fedadam"),
    ],
)
def test_fedopt_has_the_papers_1001_epochs(name: str, strategy: str) -> None:
    actual = cells(name)
    assert {cell.config.strategy.kind for cell in actual} == {strategy}
    assert {cell.config.budget.epochs for cell in actual} == {1001}


def test_another_growth_rate_of_a_densenet_is_a_note() -> None:
    (cell, *_) = cells("cifar10-densenet121")
    changed = cell.config.with_changes({"optimizer": {**cell.config.optimizer.to_table(), "lr": 0.01}})
    assert protocol_differences(changed, cell.label) == f"optimizer.lr = 0.01, {IMAGES}"
