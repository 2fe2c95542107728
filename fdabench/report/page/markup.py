"""Converts tables to CSV, Markdown and LaTeX, and creates the Jinja environment of all templates of the page."""

import re
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from fdabench.formatting import non_breaking
from fdabench.report.tables.build import ReportTable, records_of
from fdabench.results.escaping import csv_cell, markdown_text
from fdabench.tables import csv_text

_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "θ": r"$\theta$",
    "α": r"$\alpha$",
    "ε": r"$\varepsilon$",
    "ξ": r"$\xi$",
    "τ": r"$\tau$",
    "β": r"$\beta$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "∞": r"$\infty$",
    "·": r"$\cdot$",
    "−": "$-$",
    "–": "--",
    "‖": r"$\Vert$",
    "²": r"$^2$",
    "₂": r"$_2$",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "ū": r"$\bar{u}$",
}
_TEX_SPECIAL = re.compile("|".join(map(re.escape, _TEX)))


def tex(text: str) -> str:
    """Escape text for a cell of a LaTeX table; Greek letters and mathematical symbols become commands.

    >>> tex("90 % & more")
    '90 \\\\% \\\\& more'
    """
    return _TEX_SPECIAL.sub(lambda match: _TEX[match.group()], text)


def markdown_cell(text: str) -> str:
    """Escape text for a cell of a Markdown table."""
    return markdown_text(text).replace("|", "\\|").replace("\n", " ")


def jinja_environment() -> Environment:
    """Return the environment of the templates. Only HTML templates escape their variables automatically."""
    environment = Environment(
        loader=PackageLoader("fdabench.report.page"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    )
    environment.filters.update(tex=tex, cell=markdown_cell, prose=markdown_text, nobreak=non_breaking)
    environment.globals.update(markdown_cell=markdown_cell)
    return environment


def table_files(table: ReportTable, templates: Environment) -> dict[str, bytes]:
    """Return the contents of the files of a table, by suffix: csv, md, tex."""
    return {
        "csv": csv_text(records_of(table.frame), [str(name) for name in table.frame], _csv_value).encode(),
        "md": ("\n".join(table.markdown(markdown_cell)) + "\n").encode(),
        "tex": templates.get_template("table.tex.j2").render(table=table).encode(),
    }


def _csv_value(value: Any) -> Any:
    """Escape a value for CSV. A missing value becomes an empty cell; an infinite mean, of too many misses, is kept."""
    return "" if pd.isna(value) else csv_cell(value)
