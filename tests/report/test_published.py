"""Published numbers equal those of the files, and measured cells are compared with their counterparts by hand."""

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from fdabench.analysis.data import combine_results
from fdabench.analysis.published import PublishedComparison, compare_with_published
from fdabench.cell_config import ComponentConfig
from fdabench.published.results import KINDS, STRATEGIES, PublishedResult, published, published_name
from fdabench.registry.registry import BUILT_IN
from fdabench.report.build import build_report
from fdabench.report.figures.canvas import shifts_of
from fdabench.report.figures.published import PUBLISHED
from fdabench.report.page.render import house_style
from fdabench.report.tables.published import published_table
from fdabench.results.load import Results, load
from fdabench.results.names import strategy_family
from support.lenet5_results import LINEAR, MODEL_BYTES, WORKERS, SyntheticCell, write_lenet5_results

# Epoch 100 of 10 workers is step 18,750. Seed 0 is at exactly 98 % at step 188, which is not above it.
FIRST = SyntheticCell([(188, 0.98, 2), (375, 0.981, 4), (18_750, 0.987, 400)], (100, 200, 300, 375), seed=0)
SECOND = SyntheticCell([(188, 0.9, 2), (375, 0.95, 4), (18_750, 0.989, 500)], (100, 200, 300, 375), seed=1)
SGD = {"kind": "sgd", "lr": 0.01, "momentum": 0.0, "weight_decay": 0.0, "state_on_sync": "keep"}
SERVER = {"kind": "adam-keras", "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7}
FEDADAM = {"kind": "fedadam", "local_epochs": 1.0, "server": SERVER}


def compared(root: Path, *cells: SyntheticCell, **lock: Any) -> PublishedComparison:
    return compare_with_published(combine_results([load(write_lenet5_results(root / "hand", cells, **lock))]))


def row(actual: PublishedComparison, quantity: str, **axes: Any) -> dict[str, Any]:
    frame = actual.frame[actual.frame["quantity"] == quantity]
    for key, value in axes.items():
        frame = frame[frame[key] == value]
    (only,) = frame.to_dict("records")
    return {str(key): value for key, value in only.items()}


def fact(quantity: str, **axes: Any) -> PublishedResult:
    """The one published number of these axes; the others are None."""
    arguments = {"workers": None, "theta": None, "epoch": None, "target": None, **axes}
    (only,) = [item for item in published() if item.quantity == quantity and item.axes._asdict() == arguments]
    return only


def test_published_numbers_equal_those_of_the_files() -> None:
    setting = {"model": "lenet5", "partition": "round-robin", "strategy": "LinearFDA"}
    assert fact("rounds", **setting, workers=10, theta=1.0, epoch=100).value == 450
    assert fact("accuracy", **setting, workers=10, theta=1.0, epoch=100).value == 0.9881
    cost = fact("bytes", **setting, target=0.985)
    assert (cost.value, cost.low, cost.high) == pytest.approx((0.6805e9, 0.0521e9, 4.543e9))
    assert (cost.reached, cost.runs) == (48, 84)
    assert fact("steps", **{**setting, "model": "vgg16star"}, workers=60, theta=50.0, target=0.994).value == 2188
    label_8 = fact("rounds", model="vgg16star", partition="label(label=8)", strategy="FedAdam", target=0.995)
    assert label_8.value == 645


@pytest.mark.parametrize(
    ("model", "strategy", "partition"),
    [
        ("lenet5", "NaiveFDA", "round-robin"),
        ("lenet5", "GM(max)", "round-robin"),
        ("lenet5", "Synchronous", "round-robin"),
        ("lenet5", "FedAdam", "iid-file-order"),
        ("vgg16star", "Synchronous", "round-robin"),
        ("vgg16star", "FedAdam", "iid-file-order"),
        ("densenet121", "LinearFDA", "iid-file-order"),
        ("convnext-large-imagenet", "LinearFDA", "iid-file-order"),
    ],
)
def test_iid_is_round_robin_for_runs_of_the_paper_before_november_2023(
    model: str, strategy: str, partition: str
) -> None:
    """Round robin until November 2023; FedAdam and all of CIFAR are later."""
    actual = {
        item.axes.partition
        for item in published()
        if (item.axes.model, item.axes.strategy) == (model, strategy) and "(" not in item.axes.partition
    }
    assert actual == {partition}


def test_the_other_kind_of_iid_is_compared_with_a_note(tmp_path: Path) -> None:
    contiguous = replace(FIRST, changes={"partition": {"kind": "iid-file-order"}})
    actual = compared(tmp_path, contiguous, SECOND)
    rounds = actual.frame[(actual.frame["quantity"] == "rounds") & (actual.frame["epoch"] == 100)]
    message = rounds.set_index("differs")["measured"].to_dict()
    assert message == {"": 500, "partition = iid-file-order (published: round-robin)": 400}


def test_every_published_number_has_a_source_and_axes_of_its_own() -> None:
    facts = published()
    assert len({(item.axes, item.quantity) for item in facts}) == len(facts)
    assert all(item.source and (item.axes.epoch is None) != (item.axes.target is None) for item in facts)
    assert set(STRATEGIES.values()) < {item.axes.strategy for item in facts}


def test_a_published_strategy_is_recognized_by_kinds_that_are_built_in() -> None:
    for name, (strategy, monitor) in KINDS.items():
        assert published_name(strategy, monitor) == name
        table = {"kind": strategy} | ({"monitor": {"kind": monitor}} if monitor else {})
        assert strategy_family(ComponentConfig.from_table(table), BUILT_IN.info) == name
    assert {item.axes.strategy for item in published()} - set(KINDS) == {"GM(max)"}


def test_a_setting_with_two_runs_has_a_median_and_a_range() -> None:
    twice = fact(
        "rounds", model="lenet5", partition="round-robin", strategy="SketchFDA", workers=30, theta=5.0, epoch=100
    )
    assert (twice.value, twice.low, twice.high, twice.runs) == (37.5, 37, 38, 2)


def test_a_seed_that_was_run_with_two_budgets_counts_once(tmp_path: Path) -> None:
    """The longer run is taken: it has all that the shorter one has."""
    short = replace(FIRST, evals=FIRST.evals[:2], changes={"budget": {"epochs": 2.0}})
    folders = [
        write_lenet5_results(tmp_path / name, cells) for name, cells in (("short", [short]), ("long", [FIRST, SECOND]))
    ]
    actual = compare_with_published(combine_results([load(folder) for folder in folders]))
    early = row(actual, "rounds", target=0.98, workers="10")
    assert (early["cells"], early["measured_low"], early["measured_high"]) == (2, 4, 500)
    assert row(actual, "accuracy", epoch=100)["cells"] == 2


def test_accuracy_and_rounds_at_a_nominal_epoch_by_hand(tmp_path: Path) -> None:
    actual = compared(tmp_path, FIRST, SECOND)
    accuracy, rounds = row(actual, "accuracy", epoch=100), row(actual, "rounds", epoch=100)
    assert (accuracy["measured"], accuracy["measured_low"], accuracy["measured_high"]) == (0.988, 0.987, 0.989)
    assert accuracy["points"] == pytest.approx(100 * (0.988 - 0.9881))
    assert math.isnan(accuracy["ratio"])
    assert (rounds["published"], rounds["measured"], rounds["ratio"], rounds["seeds"]) == (450, 450, 1.0, 2)


def test_costs_to_a_target_by_hand(tmp_path: Path) -> None:
    actual = compared(tmp_path, FIRST, SECOND)
    sync = 2 * WORKERS * MODEL_BYTES
    # the initial distribution and three syncs by step 375, whose own sync comes after; all four by step 18,750
    first, second = 4 * sync + 375 * 8 * WORKERS, 5 * sync + 18_750 * 8 * WORKERS
    spent = row(actual, "bytes", target=0.98)
    assert (first, second) == (19_775_920, 26_182_400)
    assert (spent["measured"], spent["measured_low"], spent["measured_high"]) == (22_979_160, first, second)
    assert spent["ratio"] == pytest.approx(22_979_160 / 602.9e6)
    assert (spent["measured_reached"], spent["cells"], spent["workers"], spent["theta"]) == (2, 2, "10", "1")
    assert row(actual, "steps", target=0.98)["measured"] == (375 + 18_750) / 2
    assert row(actual, "rounds", target=0.98)["measured"] == (4 + 500) / 2


def test_costs_use_the_convention_of_the_paper_for_any_suite(tmp_path: Path) -> None:
    ring = compared(tmp_path / "ring", FIRST, convention="ring")
    assert row(ring, "bytes", target=0.98)["measured"] == 19_775_920


def test_a_miss_is_counted_and_in_no_median(tmp_path: Path) -> None:
    low = SyntheticCell([(18_750, 0.9805, 300)], (100,), seed=1)
    spent = row(compared(tmp_path, FIRST, low), "steps", target=0.985)
    assert (spent["measured"], spent["measured_reached"], spent["cells"]) == (18_750, 1, 2)
    never = published_table(compared(tmp_path / "never", low))
    assert ("steps to 98.5 %", "not reached", "0/1") in {(line[5], line[7], line[8]) for line in never.rows}


def test_rows_without_a_counterpart_are_left_out_and_counted(tmp_path: Path) -> None:
    actual = compared(tmp_path, FIRST, SECOND)
    # two numbers at epochs 1 and 100, three costs to each of two targets
    assert (actual.matched, len(actual.frame), actual.left_out) == (10, 10, len(published()) - 10)
    assert f"10 of {len(published())} published numbers have a counterpart" in published_table(actual).note


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "fashion-mnist"},
        {"model": "mlp"},
        {"workers": 7},
        {"partition": {"kind": "iid"}},
        {"partition": {"kind": "sorted", "fraction": 0.5}},
        {"strategy": {**LINEAR, "theta": 1.1}},
        {"strategy": {**LINEAR, "monitor": {"kind": "exact"}}},
    ],
    ids=str,
)
def test_cells_with_other_settings_are_not_counterparts(tmp_path: Path, changes: dict[str, Any]) -> None:
    cell = SyntheticCell(FIRST.evals, FIRST.syncs, changes=changes, strategy=changes.get("strategy"))
    assert compared(tmp_path, cell).matched == 0


@pytest.mark.parametrize(
    ("partition", "named"),
    [({"kind": "sorted", "fraction": 0.6}, "sorted(fraction=0.6)"), ({"kind": "label", "label": 0}, "label(label=0)")],
    ids=str,
)
def test_the_other_partitions_of_the_paper_have_costs_only(
    tmp_path: Path, partition: dict[str, Any], named: str
) -> None:
    actual = compared(tmp_path, SyntheticCell(FIRST.evals, FIRST.syncs, changes={"partition": partition}))
    assert set(actual.frame["partition"]) == {named}
    assert (actual.matched, set(actual.frame["target"])) == (6, {0.98, 0.985})


def test_settings_other_than_the_papers_are_noted_and_not_pooled(tmp_path: Path) -> None:
    changes = {"sampling": "shuffle", "batch_size": 64, "precision": "bf16", "eval": {"every_steps": 50}}
    other = SyntheticCell(FIRST.evals, FIRST.syncs, seed=1, changes=changes)
    actual = compared(tmp_path, FIRST, other)
    rows = actual.frame[(actual.frame["quantity"] == "steps") & (actual.frame["target"] == 0.98)]
    message = "batch_size = 64, sampling = shuffle, precision = bf16, eval.every_steps = 50"
    assert dict(zip(rows["differs"], rows["cells"], strict=True)) == {"": 1, message: 1}


def test_fedadam_as_in_the_paper_is_its_counterpart_and_other_servers_are_notes(tmp_path: Path) -> None:
    servers = (SERVER, {**SERVER, "kind": "adam-reddi", "lr": 0.01})
    cells = [
        SyntheticCell(
            FIRST.evals, FIRST.syncs, label="FedAdam", state=0, strategy={**FEDADAM, "server": server},
            changes={"optimizer": SGD},
        )
        for server in servers
    ]  # fmt: skip
    actual = compared(tmp_path, *cells)
    rows = actual.frame[actual.frame["quantity"] == "accuracy"]
    assert list(rows["differs"]) == ["", "server.kind = adam-reddi, server.lr = 0.01"]


def test_the_report_has_the_table_where_there_are_counterparts(
    tmp_path: Path, hand_made: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fdabench.report.build.PLOTS", (PUBLISHED,))  # the other figures take seconds to draw
    results = load(write_lenet5_results(tmp_path / "hand", [FIRST, SECOND]))
    written = {path.relative_to(tmp_path / "out").as_posix() for path in build_report([results], tmp_path / "out")}
    assert {f"tables/published.{suffix}" for suffix in ("csv", "md", "tex")} <= written
    assert "## Published and measured" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    without = {path.name for path in build_report([hand_made], tmp_path / "without")}
    assert "published.csv" not in without
    assert "Published and measured" not in (tmp_path / "without" / "summary.md").read_text(encoding="utf-8")


def test_the_figure_has_the_cells_their_median_and_what_was_published(tmp_path: Path) -> None:
    data = combine_results([load(write_lenet5_results(tmp_path / "hand", [FIRST, SECOND]))])
    with house_style():
        figure = PUBLISHED.draw(data)
    assert figure is not None
    assert [axes.get_xlabel() for axes in figure.axes] == ["local steps to 98 %", "local steps to 98.5 %"]
    cells, median, reference = ([line.get_xydata() for line in figure.axes[0].lines][i].tolist() for i in range(3))
    assert cells == [[375, 19_775_920], [18_750, 26_182_400]]
    assert median == [[(375 + 18_750) / 2, 22_979_160]]
    assert reference == [[2697, 602.9e6]]
    # filled is measured, hollow is published: the color is not the only difference
    assert [figure.axes[0].lines[i].get_fillstyle() for i in (1, 2)] == ["full", "none"]
    assert "2 cells of this report with K 10 and θ 1" in PUBLISHED.caption(data)


def test_panels_and_strategies_are_in_the_order_of_the_paper_and_large_markers_do_not_overlap(tmp_path: Path) -> None:
    sketch = {**LINEAR, "monitor": {"kind": "sketch"}}
    unlike = ({"kind": "sorted", "fraction": 0.6}, {"kind": "label", "label": 0})
    cells = [
        *(replace(FIRST, changes={"partition": partition}) for partition in unlike),
        replace(FIRST, strategy=sketch, label="SketchFDA"),
        FIRST,
    ]
    with house_style():
        figure = PUBLISHED.draw(combine_results([load(write_lenet5_results(tmp_path / "hand", cells))]))
        assert figure is not None
        figure.draw_without_rendering()
    panels = [(axes.get_title().split(", ")[1], axes.get_xlabel().split()[-2]) for axes in figure.axes]
    partitions = ("IID", "label(label=0)", "sorted(fraction=0.6)")
    assert panels == [(partition, target) for partition in partitions for target in ("98", "98.5")]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["LinearFDA", "SketchFDA"]
    assert "10,000" in [text.get_text() for text in figure.axes[1].get_xticklabels()]
    for axes in figure.axes:
        large = [line for line in axes.lines if line.get_markersize() >= 8]
        centers = [line.get_transform().transform(line.get_xydata())[0] * 72 / figure.dpi for line in large]
        assert len(centers) == (4 if axes.get_title().endswith("IID") else 2)
        assert all(math.dist(a, b) > 8 for a, b in combinations(centers, 2))


def test_a_large_marker_is_shifted_no_further_than_it_must_be() -> None:
    shifts = shifts_of([(10, 10), (10, 10), (10, math.nan), (10, 10), (50, 10)], (1, 100), (1, 100), (160, 150))
    assert sorted(shifts[:2] + shifts[3:]) == [-10, 0, 0, 10]
    assert shifts[2] == 0
    # at the left edge there is space on the right only
    assert shifts_of([(1, 10)] * 3, (1, 100), (1, 100), (160, 150)) == [0, 10, 20]


def test_without_a_reached_published_target_there_is_no_figure(tmp_path: Path, full: Results) -> None:
    low = load(write_lenet5_results(tmp_path / "low", [SyntheticCell([(18_750, 0.9, 300)], (100,))]))
    assert PUBLISHED.draw(combine_results([low])) is None
    assert PUBLISHED.draw(combine_results([full])) is None
