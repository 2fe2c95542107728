"""A figure: the number of training samples of each class at each worker, as a heat map for each partition.

Samples of text have no class; the figure counts those of each owner, such as a role of a play.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fdabench.analysis.data import ReportData
from fdabench.formatting import format_count
from fdabench.report.figures.canvas import SMALL, panel_title, panels
from fdabench.report.figures.plot import FigureSpec, truncation_note
from fdabench.style.contrast import text_color_on

TITLE = "Training samples of each class at each worker"
MOST = 6
_MOST_NUMBERS = 110
"""A heat map with more entries has no numbers."""
# the width of a row of the heat map, in points
_ROW_POINTS = 236
# the width of a digit relative to the font size; the part of an entry's width that its number may fill
_DIGIT, _FILLED = 0.64, 0.85


def select_cells(data: ReportData) -> pd.DataFrame:
    """Select one cell for each partition: the finished one with the lowest seed."""
    if data.partition.empty:
        return data.finished.head(0)
    cells = data.finished[data.finished["cell_id"].isin(data.partition["cell_id"].unique())]
    cells = cells.sort_values("seed", kind="stable")
    cells = cells.drop_duplicates(["suite", "dataset", "workers", "partition"])
    return cells.loc[sorted(cells.index)]


def draw_partitions(data: ReportData) -> Figure | None:
    """Draw one heat map for each partition; None if no cell has recorded its partition."""
    cells = select_cells(data)
    if cells.empty:
        return None
    drawn_cells = cells.head(MOST)
    figure, axes = panels(len(drawn_cells), TITLE, 4.6, 2.5, columns=2)
    for panel, (_, cell) in zip(axes, drawn_cells.iterrows(), strict=True):
        table = data.partition[data.partition["cell_id"] == cell["cell_id"]]
        _heat_map(figure, panel, table.pivot(index="worker", columns="class_index", values="samples").fillna(0))
        panel_title(panel, data, (cell["suite"], cell["workload"]))
    return figure


def _heat_map(figure: Figure, axes: Axes, samples: pd.DataFrame) -> None:
    """Draw a table of sample counts, workers by classes. Numbers are written into the entries where they fit."""
    largest_class = float(samples.sum().max())
    image = axes.imshow(samples.to_numpy(float), cmap="Blues", aspect="auto", vmin=0, vmax=largest_class)
    counts = FuncFormatter(lambda value, _: format_count(value))
    figure.colorbar(image, ax=axes, label="samples", format=counts, fraction=0.05, pad=0.02)
    _ticks(axes, samples)
    most_digits = len(f"{samples.max().max():.0f}")
    points = _DIGIT * SMALL * most_digits
    if samples.size > _MOST_NUMBERS or points > _FILLED * _ROW_POINTS / samples.shape[1]:
        return
    colors = image.to_rgba(samples.to_numpy(float))[..., :3]
    for row, worker in enumerate(samples.index):
        for column, value in enumerate(samples.loc[worker]):
            axes.text(
                column,
                row,
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=SMALL,
                color=text_color_on(colors[row, column]),
            )


def _ticks(axes: Axes, samples: pd.DataFrame) -> None:
    for axis, names in ((axes.xaxis, samples.columns), (axes.yaxis, samples.index)):
        stride = -(-len(names) // 12)
        axis.set_ticks(range(0, len(names), stride), [str(name) for name in names[::stride]])
    axes.set_xlabel("class, or owner of text")
    axes.set_ylabel("worker")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def caption_partitions(data: ReportData) -> str:
    """Return the caption."""
    cells = select_cells(data)
    seeds = ", ".join(str(seed) for seed in sorted(set(cells.head(MOST)["seed"])))
    return (
        f"The number of training samples of each class, or of each owner of text, at each worker, for seed {seeds}; "
        "all strategies of a seed have the same partition. The darkest color is all samples of the largest class at "
        "one worker." + truncation_note(len(cells), MOST, "partitions")
    )


PARTITIONS = FigureSpec("partitions", TITLE, caption_partitions, draw_partitions)
