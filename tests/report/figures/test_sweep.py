"""The theta sweep: drawn for three or more thetas of a monitor, with the rules of the paper as lines."""

from pathlib import Path
from typing import Any

import pytest

from fdabench.analysis.data import ReportData, combine_results
from fdabench.report.build import build_report
from fdabench.report.figures import PLOTS
from fdabench.report.figures.canvas import BOUND
from fdabench.report.figures.sweep import SWEEP, theta_sweeps
from fdabench.report.page.render import house_style
from fdabench.results.load import load
from support.html_page import Page
from support.lenet5_results import LINEAR, MODEL_BYTES, PARAMETERS, WORKERS, SyntheticCell, write_lenet5_results


def cell(theta: float, hit: int, seed: int = 0, syncs: int = 1, **changes: Any) -> SyntheticCell:
    """Reaches 98 % at the step `hit`, after `syncs` syncs."""
    evals = [(1, 0.5, 1), (hit, 0.981, syncs + 1)]
    table = {**LINEAR, "theta": theta, **changes}
    return SyntheticCell(evals, range(1, syncs + 1), seed, f"LinearFDA θ={theta:g}", table)


def data_of(root: Path, *cells: SyntheticCell) -> ReportData:
    return combine_results([load(write_lenet5_results(root / "sweep", cells))])


def draw(data: ReportData) -> Any:
    with house_style():
        figure = SWEEP.draw(data)
    assert figure is not None
    return figure


def test_two_thetas_are_not_drawn_as_a_sweep(tmp_path: Path) -> None:
    assert theta_sweeps(data_of(tmp_path, cell(0.5, 100), cell(1.0, 100), cell(1.0, 200, seed=1))) == []


def test_cells_of_different_monitors_are_not_one_sweep(tmp_path: Path) -> None:
    naive = SyntheticCell(
        [(100, 0.981, 2)], (1,), label="NaiveFDA θ=3", strategy={**LINEAR, "monitor": {"kind": "naive"}, "theta": 3.0}
    )
    assert SWEEP.draw(data_of(tmp_path, cell(0.5, 100), cell(1.0, 100), naive)) is None


def test_labels_that_contain_a_theta_are_one_series(tmp_path: Path) -> None:
    """Series come from settings. What the labels have in common is what a series is called."""
    names = {"linear": "mine θ=7", "naive": "mine θ=9"}
    cells = [
        SyntheticCell(
            [(1, 0.5, 1), (100, 0.981, 2)],
            (1,),
            label=f"{name} θ={theta:g}",
            strategy={**LINEAR, "monitor": {"kind": monitor}, "theta": theta},
        )
        for monitor, name in names.items()
        for theta in (1.0, 2.0, 4.0)
    ]
    ((_, group),) = theta_sweeps(data_of(tmp_path, *cells))
    assert list(dict.fromkeys(group["name"])) == list(names.values())
    assert group.groupby("series")["theta"].apply(list).tolist() == [[1.0, 2.0, 4.0]] * 2


def test_labels_without_a_common_part_are_one_sweep_named_by_its_family(tmp_path: Path) -> None:
    thetas = {"tight": 1.0, "middle": 2.0, "loose": 4.0}
    cells = [
        SyntheticCell([(1, 0.5, 1), (100, 0.981, 2)], (1,), label=label, strategy={**LINEAR, "theta": theta})
        for label, theta in thetas.items()
    ]
    ((_, group),) = theta_sweeps(data_of(tmp_path, *cells))
    assert set(group["name"]) == {"LinearFDA"}


def test_a_sweep_without_a_hit_is_not_drawn(tmp_path: Path) -> None:
    cells = [SyntheticCell([(100, 0.5, 1)], (), strategy={**LINEAR, "theta": theta}) for theta in (1.0, 2.0, 3.0)]
    assert SWEEP.draw(data_of(tmp_path, *cells)) is None


def test_lines_go_through_the_geometric_means_by_hand(tmp_path: Path) -> None:
    actual = [cell(1.0, 100, syncs=4), cell(2.0, 100, syncs=2), cell(2.0, 400, seed=1, syncs=2), cell(4.0, 800)]
    bytes_panel, steps_panel = draw(data_of(tmp_path, *actual)).axes
    assert steps_panel.lines[1].get_xdata().tolist() == [1, 2, 4]
    assert steps_panel.lines[1].get_ydata() == pytest.approx([100, 200, 800])
    first = 5 * 2 * WORKERS * MODEL_BYTES + 100 * 8 * WORKERS
    assert bytes_panel.lines[1].get_ydata()[0] == pytest.approx(first)
    assert bytes_panel.get_xlabel() == "θ, squared L2 norm"


def test_the_rules_of_the_paper_are_lines_with_their_names(tmp_path: Path) -> None:
    axes = draw(data_of(tmp_path, cell(1.0, 100), cell(2.0, 100), cell(4.0, 100))).axes[0]
    names = {text.get_text(): text.get_position()[0] for text in axes.texts}
    expected = {"hpc": 2.74e-5 * PARAMETERS, "balanced": 3.89e-5 * PARAMETERS, "fl": 4.91e-5 * PARAMETERS}
    assert names == pytest.approx(expected)
    assert {round(line.get_xdata()[0], 6) for line in axes.lines[2:]} == {round(x, 6) for x in expected.values()}


def test_the_names_of_rules_do_not_cover_the_title(tmp_path: Path) -> None:
    figure = draw(data_of(tmp_path, *(cell(theta, 100) for theta in (1.0, 2.0, 4.0))))
    for axes in figure.axes:
        title = axes.title.get_window_extent()
        assert axes.texts
        assert not any(text.get_window_extent().overlaps(title) for text in axes.texts)


def test_rules_far_from_every_theta_are_left_out(tmp_path: Path) -> None:
    data = data_of(tmp_path, cell(0.1, 100), cell(0.2, 100), cell(0.57, 100))
    assert {text.get_text() for text in draw(data).axes[0].texts} == {"hpc"}
    assert "hpc 2.74e-05" in SWEEP.caption(data)
    assert "balanced" not in SWEEP.caption(data)


def test_a_miss_is_drawn_as_a_bound(tmp_path: Path) -> None:
    misses = SyntheticCell([(1, 0.5, 1), (900, 0.9, 2)], (1,), 1, "LinearFDA θ=4", {**LINEAR, "theta": 4.0})
    data = data_of(tmp_path, cell(1.0, 100), cell(2.0, 100), cell(4.0, 100), misses)
    arrows = [line for line in draw(data).axes[1].lines if line.get_marker() is BOUND]
    assert [tuple(arrow.get_xydata()[0]) for arrow in arrows] == [pytest.approx((4.0, 300.0))]


def test_the_page_shows_the_figure_with_its_caption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fdabench.report.build.PLOTS", tuple(plot for plot in PLOTS if plot is SWEEP))
    cells = [cell(theta, 100) for theta in (1.0, 2.0, 4.0)]
    written = build_report([load(write_lenet5_results(tmp_path / "sweep", cells))], tmp_path / "out")
    figures = tmp_path / "out" / "figures"
    assert {path for path in written if path.parent == figures} == {
        figures / f"theta-sweep.{suffix}" for suffix in ("pdf", "png", "svg")
    }
    page = Page((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert "figure-theta-sweep" in page.all("id")
    assert "Bytes of all workers and local steps of each worker until the headline target, 98 %" in page.text
    assert "3 cells, 1 seed, paper accounting." in page.text.replace("\u00a0", " ")
