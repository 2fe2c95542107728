"""Renders the HTML page of a report.

`report.build` calls `page_file`. Figures, style and script are in the file, so a browser loads nothing else. The same
content always gives the same bytes.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from fdabench.analysis.data import ReportData
from fdabench.formatting import format_count, plural
from fdabench.report.figures.tags import strategy_tag
from fdabench.report.page.inline import InlineSvg, inline_svg
from fdabench.report.page.render import RenderedFigure
from fdabench.report.provenance import provenance
from fdabench.report.tables.build import ReportTable
from fdabench.style.dark import declarations, variable
from fdabench.style.plot_style import PlotStyle
from fdabench.tables import Column, Table

FIRST = "pareto"
"""The name of the figure that the page shows beside the conclusion."""
OPEN_CAVEATS = 3
"""This number of caveats is shown; the others are collapsed."""
ENLARGED = 1.2
"""The scale of a figure on the page: its smallest text, of 7.5 points, is 12 pixels high."""


# keys of columns whose values are shown in a heading above the rows that share them
_ABOVE = ("suite", "workload", "target", "model", "partition", "topic")


@dataclass(frozen=True)
class StrategyToggle:
    """A control that shows and hides one strategy of a figure."""

    label: str
    tag: str
    color: str
    """The name of a CSS variable."""


@dataclass(frozen=True)
class PageFigure:
    """A figure of the page.

    Args:
        rendered: its name, title, caption and files.
        svg: the figure as an element of HTML.
        width: in CSS pixels.
        colors: hexadecimal; the page defines a variable for each.
        toggles: controls of strategies, by family.
    """

    rendered: RenderedFigure
    svg: Markup
    width: int
    colors: frozenset[str]
    toggles: Mapping[str, Sequence[StrategyToggle]]


@dataclass(frozen=True)
class TableGroup:
    """Rows of a table that share the values in their heading."""

    heading: str
    rows: Sequence[Sequence[str]]


def page_file(content: Mapping[str, Any], data: ReportData, templates: Environment) -> bytes:
    """Render `index.html`.

    Args:
        content: the variables of the templates, as `build.page_content` returns them, with `citations` and `embedded`.
        data: the data of the report.
        templates: the environment of `markup.jinja_environment`.
    """
    figures = [page_figure(figure, data.styles) for figure in content["figures"]]
    colors = declarations(color for figure in figures for color in figure.colors)
    style, script = _asset("index.css") + colors, _asset("index.js")
    page = {
        **content,
        "first": next((figure for figure in figures if figure.rendered.name == FIRST), None),
        "figures": [figure for figure in figures if figure.rendered.name != FIRST],
        "facts": _facts(data),
        "provenance": provenance(data),
        "other_tables": sorted(_other_tables(content["tables"]), key=lambda table: table.name == "cells"),
        "style": Markup(style),
        "script": Markup(script),
        "policy": content_security_policy(script),
        "suffixes": ("csv", "md", "tex"),
        "group_rows": group_rows,
        "heading_columns": heading_columns,
        "open_caveats": OPEN_CAVEATS,
        "columns_except": columns_except,
    }
    return templates.get_template("index.html.j2").render(page).encode()


def content_security_policy(script: str) -> str:
    """Return a content security policy that forbids all requests and allows only this script.

    Inline styles are allowed, because each shape of a figure has a style attribute, for which a policy cannot contain
    a hash. Images are allowed as data URLs, because figures contain some.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def page_figure(figure: RenderedFigure, styles: Mapping[str, PlotStyle]) -> PageFigure:
    """Prepare a figure for the page.

    Args:
        figure: with its SVG file.
        styles: the plot style of each strategy, by label.
    """
    inline: InlineSvg = inline_svg(figure)
    toggles: dict[str, list[StrategyToggle]] = {}
    for label, style in styles.items():
        if (tag := strategy_tag(label)) in inline.tags:
            toggles.setdefault(style.family, []).append(StrategyToggle(label, tag, variable(style.color.lower())))
    colors = inline.colors | {style.color.lower() for style in styles.values()}
    return PageFigure(figure, Markup(inline.svg), round(inline.width * ENLARGED), colors, toggles)


def heading_columns(table: ReportTable) -> tuple[int, ...]:
    """Return the indices of the columns whose values are shown in headings, because in each row they are too wide."""
    if table.name == "cells" or table.columns[0].key not in _ABOVE:
        return ()
    return tuple(i for i, column in enumerate(table.columns) if column.key in _ABOVE)


def columns_except(table: Table, *indices: int) -> list[Column]:
    """Return the columns of a table without those at `indices`."""
    return [column for i, column in enumerate(table.columns) if i not in indices]


def group_rows(table: Table, *by: int) -> list[TableGroup]:
    """Group consecutive rows that have the same values in the columns at the indices `by`."""
    keep = [i for i in range(len(table.columns)) if i not in by]
    return [
        TableGroup(
            ", ".join(f"{table.titles[i]} {value}" if i else value for i, value in zip(by, key, strict=True)), rows
        )
        for key, rows in (
            (key, [[row[i] for i in keep] for row in rows])
            for key, rows in groupby(table.rows, lambda row: tuple(row[i] for i in by))
        )
    ]


def _other_tables(tables: Sequence[ReportTable]) -> list[ReportTable]:
    """The tables that the template does not place by name."""
    return [table for table in tables if table.name not in ("headline", "settings")]


def _facts(data: ReportData) -> list[str]:
    """The numbers of cells, strategies, workloads and seeds, and the accounting convention."""
    strategies = len(data.labels)
    return [
        f"{format_count(len(data.finished))} of {plural(len(data.runs), 'cell')} with a result",
        f"{format_count(strategies)} strategies" if strategies != 1 else "1 strategy",
        plural(len(data.workloads), "workload"),
        plural(data.runs["seed"].nunique(), "seed"),
        f"{data.conventions} accounting",
    ]


def _asset(name: str) -> str:
    return files("fdabench.report.page").joinpath("templates", name).read_text(encoding="utf-8")
