"""A figure as files: the same bytes every time, whatever the reader's own matplotlib settings."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from fdabench.analysis.data import ReportData
from fdabench.report.figures.canvas import STYLE
from fdabench.report.figures.plot import FigureSpec
from fdabench.report.figures.tags import TITLE_TAG, number_tags

# Dates and versions would make each file new.
_SVG_METADATA: Mapping[str, Any] = {"Date": None, "Creator": None}
_PDF_METADATA: Mapping[str, Any] = {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None}
_PNG_METADATA: Mapping[str, Any] = {"Software": None}

_POINTS = 72
"""In an inch."""
_ODD_LABELS = ("Glyph .* missing from font", "constrained_layout not applied")


@dataclass(frozen=True)
class RenderedFigure:
    """A figure that has something to show.

    `headroom`: points at the top of its files that the title takes. A page leaves them out, as its heading says it.
    """

    name: str
    title: str
    caption: str
    files: Mapping[str, bytes]
    headroom: float = 0.0


@contextmanager
def house_style() -> Iterator[None]:
    """A label that the font lacks letters for, or longer than a figure, is drawn badly; page and tables have it."""
    with matplotlib.style.context(["default", dict(STYLE)]), warnings.catch_warnings():
        for message in _ODD_LABELS:
            warnings.filterwarnings("ignore", message, UserWarning)
        yield


def _lay_out(figure: Figure) -> None:
    """Once, as each format would do it again, and to six digits: the solver's last ones change from run to run."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(float(edge), 6) for edge in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def _headroom(figure: Figure) -> float:
    """Points from the upper edge to the lower end of the title; 0 without one."""
    lowest = [text.get_window_extent().y0 for text in figure.texts if text.get_gid() == TITLE_TAG]
    return round(float(figure.bbox.y1 - min(lowest)) * _POINTS / figure.dpi, 2) if lowest else 0.0


def _print(figure: Figure) -> dict[str, bytes]:
    """The bytes of each format. `Figure.savefig` would draw each one twice, the first time for its layout."""
    png, svg, pdf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    dpi = figure.dpi
    FigureCanvasAgg(figure).print_png(png, metadata=dict(_PNG_METADATA))  # type: ignore[no-untyped-call]
    FigureCanvasSVG(figure).print_svg(svg, metadata=dict(_SVG_METADATA))  # type: ignore[no-untyped-call]
    # the SVG canvas leaves its own resolution behind, and images within a PDF have the figure's
    figure.set_dpi(dpi)
    FigureCanvasPdf(figure).print_pdf(pdf, metadata=dict(_PDF_METADATA))  # type: ignore[no-untyped-call]
    return {"svg": svg.getvalue(), "pdf": pdf.getvalue(), "png": png.getvalue()}


def render(plot: FigureSpec, data: ReportData) -> RenderedFigure | None:
    """The figure in each format, or None where it has nothing to show."""
    with house_style():
        figure = plot.draw(data)
        if figure is None:
            return None
        _lay_out(figure)
        number_tags(figure)
        headroom = _headroom(figure)
        files = _print(figure)
    return RenderedFigure(plot.name, plot.title, plot.caption(data), files, headroom)
