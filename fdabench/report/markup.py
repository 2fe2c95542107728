"""Tables and pages as text: Markdown, LaTeX and CSV, from the templates beside this module."""

import re

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from pandas.api.types import is_numeric_dtype

from fdabench.report.tables import Table
from fdabench.report.text import nobreak
from fdabench.results.text import csv_cell, markdown_text

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
    """Safe in a LaTeX table cell; symbols beyond Latin become commands."""
    return _TEX_SPECIAL.sub(lambda found: _TEX[found.group()], text)


def markdown_cell(text: str) -> str:
    return markdown_text(text).replace("|", "\\|").replace("\n", " ")


def environment() -> Environment:
    found = Environment(
        loader=PackageLoader("fdabench.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    )
    found.filters.update(tex=tex, cell=markdown_cell, prose=markdown_text, nobreak=nobreak)
    return found


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A spreadsheet shows its text and computes none of it; everything else is left as it is."""
    text = [name for name in frame if not is_numeric_dtype(frame[name])]
    return frame.assign(
        **{
            str(name): pd.Series([csv_cell(value) for value in frame[name]], frame.index, frame[name].dtype)
            for name in text
        }
    )


def table_files(table: Table, templates: Environment) -> dict[str, bytes]:
    """The table by suffix: csv, md, tex."""
    return {
        "csv": _without_formulas(table.frame).to_csv(index=False, lineterminator="\n").encode(),
        "md": templates.get_template("table.md.j2").render(table=table).encode(),
        "tex": templates.get_template("table.tex.j2").render(table=table).encode(),
    }
