"""The contrast of graphics and text in figures: WCAG 2.2, 1.4.11 (graphics, 3 to 1) and 1.4.3 (text).

A figure lies on white in light, in dark and on paper, so one background is all there is.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fdabench.accounting.fleets import FLEETS
from fdabench.analysis.data import ReportData, combine_results
from fdabench.report.figures import PLOTS
from fdabench.report.figures.plot import FigureSpec
from fdabench.report.page.render import house_style
from fdabench.results.load import Results, load
from fdabench.style.contrast import contrast, readable_color, text_color_on
from fdabench.style.plot_style import assign_styles
from support.components import COLOR_MARKERS
from support.lenet5_results import LINEAR, SyntheticCell, write_lenet5_results
from support.recorded_syncs import with_recorded_syncs

GRAPHICS, TEXT = 3.0, 4.5
KNOWN = ("Synchronous", "LinearFDA", "SketchFDA", "FedAdam", "NaiveFDA", "ExactFDA", "FedAvg", "FedAvgM")
STRANGERS = ("kamp", "gossip", "local", "adaptive", "elastic", "lazy", "push-sum", "hierarchical")
BY_NAME = {plot.name: plot for plot in PLOTS}


def flattened(color: Any, alpha: float | None = None) -> tuple[float, ...]:
    """A color with transparency on white."""
    *rgb, own = to_rgba(color)
    opacity = own if alpha is None else alpha
    return tuple(opacity * part + 1 - opacity for part in rgb)


def stands_out(*colors: Any, alpha: float | None = None) -> float:
    """The largest contrast of the colors, because an outline is enough."""
    return max((contrast(flattened(color, alpha)) for color in colors), default=1.0)


@pytest.mark.parametrize(("color", "ratio"), [("#000000", 21.0), ("#FFFFFF", 1.0), ("#767676", 4.54), ("#FF0000", 4.0)])
def test_the_contrast_formula_is_that_of_the_guidelines(color: str, ratio: float) -> None:
    assert contrast(color) == pytest.approx(ratio, abs=0.005)


def test_contrast_of_two_colors_does_not_depend_on_their_order() -> None:
    assert contrast("#777777", "#000000") == contrast("#000000", "#777777") == pytest.approx(4.69, abs=0.005)


@pytest.mark.parametrize("color", ["#FFFFFF", "#009E73", "#3399DD", "#000000", "#808080"])
def test_the_text_color_has_enough_contrast(color: str) -> None:
    assert contrast(readable_color(color)) >= TEXT
    assert contrast(text_color_on(color), color) >= TEXT


@pytest.mark.parametrize("family", [*KNOWN, *STRANGERS])
@pytest.mark.parametrize("variants", [1, 2, 5, 40])
def test_every_strategy_has_a_color_with_enough_contrast(family: str, variants: int) -> None:
    styles = assign_styles(
        {f"{family} θ={i}": family for i in range(variants)} | {name: name for name in STRANGERS}, COLOR_MARKERS
    )
    assert min(contrast(style.color) for style in styles.values()) >= GRAPHICS


def test_the_four_strategies_of_the_paper_have_its_colors_and_markers() -> None:
    styles = assign_styles({name: name for name in KNOWN}, COLOR_MARKERS)
    red, green, blue = (to_rgba(styles[name].color)[:3] for name in ("SketchFDA", "LinearFDA", "FedAdam"))
    assert [int(np.argmax(color)) for color in (red, green, blue)] == [0, 1, 2]
    assert styles["Synchronous"].color == "#000000"
    assert [styles[name].marker for name in ("LinearFDA", "SketchFDA", "FedAdam", "Synchronous")] == [
        "^",
        "*",
        "o",
        "s",
    ]


def test_shades_of_a_family_are_distinguishable() -> None:
    """By brightness as well, in order, so that a printer without colors shows them."""
    for family in KNOWN:
        styles = assign_styles({f"{family} {i}": family for i in range(5)}, COLOR_MARKERS)
        steps = [contrast(style.color) for style in styles.values()]
        assert steps in (sorted(steps), sorted(steps, reverse=True))
        assert min(abs(a - b) for a, b in pairwise(steps)) > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", [plot.name for plot in PLOTS])
def test_everything_drawn_has_enough_contrast(name: str, full: Results, tmp_path: Path) -> None:
    figure = draw(BY_NAME[name], full, tmp_path)
    faint = {what: round(ratio, 2) for what, ratio, least in measured(figure) if ratio < least}
    assert faint == {}


def test_regions_of_a_map_differ_by_more_than_color(full: Results, tmp_path: Path) -> None:
    figure = draw(BY_NAME["crossover"], full, tmp_path)
    keys = [handle for handle in figure.legends[0].legend_handles if isinstance(handle, Patch)]
    assert len(keys) > 1
    assert len({key.get_hatch() for key in keys}) == len(keys)


def test_numbers_on_a_heat_map_have_enough_contrast(full: Results, tmp_path: Path) -> None:
    for axes in draw(BY_NAME["partitions"], full, tmp_path).axes:
        for image in axes.images:
            cells = np.asarray(image.to_rgba(image.get_array(), norm=True))
            for text in axes.texts:
                column, row = (int(place) for place in text.get_position())
                assert contrast(text.get_color(), tuple(cells[row, column, :3])) >= TEXT


def draw(plot: FigureSpec, full: Results, folder: Path) -> Figure:
    """The figure of synthetic results that contain its data."""
    with house_style():
        data = combine_results([full], {"devices": FLEETS["devices"]})
        actual = [plot.draw(item) for item in (data, special(folder), *with_recorded_syncs(data).values())]
    figures = [figure for figure in actual if figure is not None]
    assert figures, plot.name
    return figures[0]


def special(folder: Path) -> ReportData:
    """A sweep of theta on two numbers of workers, with a miss and a cell of the paper's setting."""
    sweep = [
        SyntheticCell(
            [(1, 0.5, 1), (90 * n, 0.986 if n < 4 else 0.9, n + 1)],
            range(1, n + 1),
            seed,
            f"LinearFDA θ={n / 2:g}",
            {**LINEAR, "theta": n / 2},
            changes={"workers": workers},
        )
        for n in (1, 2, 3, 4)
        for workers in (5, 10)
        for seed in range(4)
    ]
    return combine_results([load(write_lenet5_results(folder / "special", sweep))])


def measured(figure: Figure) -> Iterator[tuple[str, float, float]]:
    """Each element with its contrast and the required contrast."""
    for axes in figure.axes:
        yield from ((str(text), stands_out(text.get_color()), TEXT) for text in words(axes))
        for artist in (*axes.lines, *axes.patches, *axes.collections):
            yield (f"{type(artist).__name__} {artist.get_gid() or artist.get_label()}", visibility(artist), GRAPHICS)
    for legend in figure.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            assert handle is not None
            yield f"key of {text.get_text()}", visibility(handle), GRAPHICS


def words(axes: Axes) -> list[Any]:
    actual = [axes.title, axes.xaxis.label, axes.yaxis.label]
    return actual if axes.images else [*actual, *axes.texts]


def visibility(artist: Artist) -> float:
    alpha = artist.get_alpha()
    if isinstance(artist, Line2D):
        line = [artist.get_color()] if artist.get_linestyle() not in ("None", "", " ") else []
        parts = [[color] for color in line]
        if artist.get_marker() not in ("None", "", " ", None):
            parts.append([artist.get_markeredgecolor(), artist.get_markerfacecolor()])
        return min(stands_out(*colors, alpha=alpha) for colors in parts)
    if isinstance(artist, Patch):
        outline = [artist.get_edgecolor()] if artist.get_linewidth() else []
        return stands_out(*outline, artist.get_facecolor(), alpha=alpha)
    assert isinstance(artist, Collection)
    edges = [color for color, width in zip(artist.get_edgecolor(), artist.get_linewidth(), strict=False) if width]
    return stands_out(*edges, *artist.get_facecolor())
