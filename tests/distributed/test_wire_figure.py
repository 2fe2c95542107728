"""The figure of `benchmarks/wire.py`, drawn from the committed measurements. No network is needed."""

import sys
from itertools import combinations
from math import dist
from pathlib import Path

import pandas as pd

import fdabench

sys.path.insert(0, str(Path(fdabench.__file__).parents[1] / "benchmarks"))

from wire import PANEL, draw

TABLE = Path(fdabench.__file__).parents[1] / "reports" / "wire" / "wire.csv"


def test_markers_of_measured_times_do_not_overlap_and_the_legend_is_beside_the_panels() -> None:
    figure = draw(pd.read_csv(TABLE))
    figure.draw_without_rendering()
    for axes in figure.axes:
        markers = [line for line in axes.lines if line.get_marker() != "None"]
        assert len(markers) == 18
        centers = [line.get_transform().transform(line.get_xydata())[0] * 72 / figure.dpi for line in markers]
        assert min(dist(a, b) for a, b in combinations(centers, 2)) > 9
        # the shifts are computed for a panel of this size
        size = axes.get_window_extent()
        assert size.width * 72 / figure.dpi >= PANEL[0]
        assert size.height * 72 / figure.dpi >= PANEL[1]
        assert axes.get_legend() is None
    assert figure.axes[1].get_title().startswith("90 % ")
