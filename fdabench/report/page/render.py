"""Draws figures and writes them as SVG, PDF and PNG.

`report.build` calls `render`. The bytes do not depend on the time or on the matplotlib settings of the user.
"""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from fdabench.analysis.data import ReportData
from fdabench.report.figures.canvas import STYLE
from fdabench.report.figures.plot import FigureSpec
from fdabench.report.figures.tags import TITLE_TAG, number_tags

# without dates and versions, so that the same figure gives the same bytes
_SVG_METADATA: Mapping[str, object] = {"Date": None, "Creator": None}
_PDF_METADATA: Mapping[str, object] = {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None}
_PNG_METADATA: Mapping[str, object] = {"Software": None}

_POINTS = 72
"""Points in an inch."""
_LABEL_WARNINGS = ("Glyph .* missing from font", "constrained_layout not applied")


@dataclass(frozen=True)
class RenderedFigure:
    """A figure that was drawn.

    Args:
        name: of the files, without suffix.
        title: its heading on the page.
        caption: the paragraph below it.
        files: the contents of its files by suffix.
        headroom: points at the top of the files that the title takes. The page crops them, because it has a heading.
    """

    name: str
    title: str
    caption: str
    files: Mapping[str, bytes]
    headroom: float = 0.0


@contextmanager
def house_style() -> Iterator[None]:
    """Use the settings of fdabench in matplotlib, and suppress warnings about the labels of strategies.

    A label may contain characters that the font lacks, or be longer than the figure. It is readable in the tables.
    """
    with matplotlib.style.context(["default", dict(STYLE)]), warnings.catch_warnings():
        for message in _LABEL_WARNINGS:
            warnings.filterwarnings("ignore", message, UserWarning)
        yield


def _lay_out(figure: Figure) -> None:
    """Compute the layout once for all formats, rounded to six digits: the further digits differ between runs."""
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


def _encode(figure: Figure) -> dict[str, bytes]:
    """The bytes of each format. `Figure.savefig` is not used, because it draws each one twice to compute the layout."""
    png, svg, pdf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    dpi = figure.dpi
    FigureCanvasAgg(figure).print_png(png, metadata=dict(_PNG_METADATA))  # type: ignore[no-untyped-call]
    FigureCanvasSVG(figure).print_svg(svg, metadata=dict(_SVG_METADATA))  # type: ignore[no-untyped-call]
    # the SVG canvas changes the resolution of the figure, which images in a PDF are drawn with
    figure.set_dpi(dpi)
    FigureCanvasPdf(figure).print_pdf(pdf, metadata=dict(_PDF_METADATA))  # type: ignore[no-untyped-call]
    return {"svg": svg.getvalue(), "pdf": pdf.getvalue(), "png": png.getvalue()}


def render(plot: FigureSpec, data: ReportData) -> RenderedFigure | None:
    """Draw a figure in each format.

    Args:
        plot: the figure to draw.
        data: the data of the report.

    Returns:
        The figure with its SVG, PDF and PNG files; None if it has nothing to show.
    """
    with house_style():
        figure = plot.draw(data)
        if figure is None:
            return None
        _lay_out(figure)
        number_tags(figure)
        headroom = _headroom(figure)
        files = _encode(figure)
    return RenderedFigure(plot.name, plot.title, plot.caption(data), files, headroom)
