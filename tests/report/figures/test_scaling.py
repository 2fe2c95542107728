"""Costs against the number of workers, on results made by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fdabench.analysis.data import ReportData, combine_results
from fdabench.report.figures.scaling import SCALING, groups_of
from fdabench.report.page.render import house_style
from fdabench.results.load import load
from support.lenet5_results import SyntheticCell, write_lenet5_results


def cell(workers: int, step: int, accuracy: float = 0.981, seed: int = 0) -> SyntheticCell:
    return SyntheticCell([(step, accuracy, 2)], (1,), seed, changes={"workers": workers})


def data_of(root: Path, *cells: SyntheticCell) -> ReportData:
    return combine_results([load(write_lenet5_results(root / "scaling", cells))])


def draw(data: ReportData) -> Any:
    with house_style():
        return SCALING.draw(data)


def test_no_figure_of_scaling_for_one_number_of_workers(tmp_path: Path) -> None:
    assert draw(data_of(tmp_path, cell(5, 100), cell(5, 200, seed=1))) is None


def test_a_number_of_workers_without_a_reached_target_is_left_out(tmp_path: Path) -> None:
    assert draw(data_of(tmp_path, cell(5, 100), cell(10, 200, accuracy=0.5))) is None


def test_lines_go_through_geometric_means_over_seeds(tmp_path: Path) -> None:
    data = data_of(tmp_path, cell(5, 100), cell(5, 400, seed=1), cell(20, 300))
    _, steps = draw(data).axes
    seeds, line = steps.lines
    assert seeds.get_xdata().tolist() == [5, 5, 20]
    assert seeds.get_ydata().tolist() == [100, 400, 300]
    assert line.get_xdata().tolist() == [5, 20]
    assert line.get_ydata() == pytest.approx([200, 300])
    assert steps.get_ylabel() == "local steps of each worker to 98 %"


def test_a_point_with_misses_states_how_many_seeds_reached_the_target(tmp_path: Path) -> None:
    misses = SyntheticCell([(900, 0.5, 1)], (1,), 1, changes={"workers": 5})
    bytes_, steps = draw(data_of(tmp_path, cell(5, 100), misses, cell(20, 300))).axes
    assert [text.get_text() for text in bytes_.texts] == [text.get_text() for text in steps.texts] == ["1/2"]
    assert [text.xy for text in steps.texts] == [pytest.approx((5, 100))]


def test_titles_of_several_suites_do_not_overlap(tmp_path: Path) -> None:
    names = ("a-suite-with-a-long-name-of-its-own", "another-suite-with-a-name-that-is-as-long")
    one = load(write_lenet5_results(tmp_path / "one", [cell(5, 100), cell(20, 300)]))
    figure = draw(combine_results([replace(one, lock=one.lock.with_changes({"suite": name})) for name in names]))
    figure.draw_without_rendering()
    for left, right in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        edges = [axes.title.get_window_extent() for axes in (left, right)]
        assert edges[0].x1 < edges[1].x0
        assert edges[1].x1 < figure.bbox.x1


def test_other_partitions_are_other_panels(tmp_path: Path) -> None:
    label = {"partition": {"kind": "label", "label": 0}}
    other = [SyntheticCell([(100, 0.99, 2)], (1,), changes={"workers": workers, **label}) for workers in (5, 10)]
    names = [name for name, _ in groups_of(data_of(tmp_path, cell(5, 100), cell(10, 100), *other))]
    assert names == ["mnist lenet5, b=32, round-robin", "mnist lenet5, b=32, label(0)"]
