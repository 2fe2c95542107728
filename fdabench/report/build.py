"""Writes the files of a report: `index.html`, `summary.md`, `summary.json`, figures and tables.

The commands that write reports call `build_report`. The same results always give files with the same bytes.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from fdabench.accounting.fleets import Fleet
from fdabench.analysis.data import ReportData, combine_results, headline_targets
from fdabench.formatting import json_value
from fdabench.report.caveats import find_caveats
from fdabench.report.figures import PLOTS
from fdabench.report.figures.accuracy import for_metric
from fdabench.report.methods import CONVENTIONS, commands, formulas
from fdabench.report.page.markup import jinja_environment, table_files
from fdabench.report.page.page import page_file
from fdabench.report.page.render import RenderedFigure, render
from fdabench.report.summary import conclude, summary_text
from fdabench.report.tables.build import ReportTable, build_tables
from fdabench.report.tables.conclusion import conclusion_table
from fdabench.report.tables.epochs import milestones_tables
from fdabench.report.tables.fleets import fleet_tables
from fdabench.report.tables.published import published_tables
from fdabench.report.tables.robust import robust_tables
from fdabench.report.tables.roles import role_tables
from fdabench.report.tables.round_length import round_length_tables
from fdabench.report.tables.times import times_tables
from fdabench.report.tables.traffic import traffic_tables
from fdabench.report.time_sentences import time_sentences
from fdabench.results.files import atomic_write_bytes
from fdabench.results.load import Results

LARGEST_EMBEDDED = 64 * 1024
"""Files of up to this number of bytes are also embedded in the page."""
_EMBEDDED = {"csv": "text/csv", "md": "text/markdown", "tex": "application/x-tex", "pdf": "application/pdf"}


def build_report(
    results: Sequence[Results], out: Path, citations: Sequence[str] = (), fleets: Mapping[str, Fleet] = {}
) -> list[Path]:
    """Write all files of a report.

    Args:
        results: the results folders, read by `results.load`.
        out: the folder that the files are written to.
        citations: BibTeX entries that the page shows.
        fleets: by name. The report models the time to the target on them and on the fleets of the suites.

    Returns:
        The paths of the files that were written.

    Raises:
        ResultError: `out` cannot be written.
    """
    data = combine_results(results, fleets)
    figures = [figure for plot in for_metric(PLOTS, data.metric) if (figure := render(plot, data)) is not None]
    tables = [
        conclusion_table(data),
        *build_tables(data),
        *role_tables(data),
        *robust_tables(data),
        *published_tables(data),
        *times_tables(data),
        *fleet_tables(data),
        *milestones_tables(data),
        *round_length_tables(data),
        *traffic_tables(data),
    ]
    templates = jinja_environment()
    files: dict[str, bytes] = {
        f"figures/{figure.name}.{suffix}": content for figure in figures for suffix, content in figure.files.items()
    }
    for table in tables:
        files |= {f"tables/{table.name}.{suffix}": text for suffix, text in table_files(table, templates).items()}
    page = page_content(data, figures, tables) | {"citations": citations, "embedded": _embed_files(files)}
    files["summary.md"] = templates.get_template("summary.md.j2").render(page).encode()
    files["summary.json"] = _json(_summary(data, figures, tables))
    # written last, because it links to the other files: if it is up to date, they are too
    files["index.html"] = page_file(page, data, templates)
    for name, content in files.items():
        atomic_write_bytes(out / name, content)
    return [out / name for name in files]


def _embed_files(files: Mapping[str, bytes]) -> dict[str, str]:
    """The files that are embedded in the page, as data URLs by file name.

    With them the page is usable without its folder, for example as an attachment. Larger files are left out.
    """
    return {
        name: f"data:{kind};base64,{base64.b64encode(content).decode()}"
        for name, content in files.items()
        if (kind := _EMBEDDED.get(name.rpartition(".")[2])) and len(content) <= LARGEST_EMBEDDED
    }


def page_content(
    data: ReportData, figures: Sequence[RenderedFigure], tables: Sequence[ReportTable]
) -> dict[str, object]:
    """Return the variables of the page templates, which are the same for HTML and Markdown.

    Args:
        data: the data of the report.
        figures: the figures that were drawn.
        tables: all tables of the report; one is named `headline` and one `settings`.
    """
    by_name = {table.name: table for table in tables}
    frames = {table.name: table.frame for table in tables}
    conclusions = [conclude(data, suite) for suite in data.locks]
    names, plots = {figure.name for figure in figures}, for_metric(PLOTS, data.metric)
    return {
        "suites": list(data.locks),
        "descriptions": {name: lock.description for name, lock in data.locks.items()},
        "conclusions": conclusions,
        "conclusion": [
            f"{suite}:\n{summary_text(conclusion)}" if len(conclusions) > 1 else summary_text(conclusion)
            for suite, conclusion in zip(data.locks, conclusions, strict=True)
        ],
        "time_sentences": time_sentences(data, frames.get("fleets"), frames.get("times")),
        "headline": by_name["headline"],
        "settings": by_name["settings"],
        "published": by_name.get("published"),
        "fastest": by_name.get("fastest"),
        "tables": tables,
        "figures": figures,
        "not_drawn": [reason for plot in plots if plot.name not in names and (reason := plot.absence(data))],
        "caveats": find_caveats(data),
        "commands": commands(data),
        "formulas": formulas(data),
        "conventions": {lock.convention: CONVENTIONS[lock.convention] for lock in data.locks.values()},
    }


def _summary(data: ReportData, figures: Sequence[RenderedFigure], tables: Sequence[ReportTable]) -> dict[str, object]:
    headline = next(table for table in tables if table.name == "headline")
    return {
        "schema": "1",
        "suites": list(data.locks),
        "headline_targets": headline_targets(data),
        "conventions": {name: lock.convention for name, lock in data.locks.items()},
        "states": {str(state): int(number) for state, number in data.runs["state"].value_counts(sort=False).items()},
        "headline": json_value(headline.frame.to_dict("records")),
        "caveats": find_caveats(data),
        "commands": commands(data),
        "figures": [
            {
                "name": f.name,
                "title": f.title,
                "caption": f.caption,
                "files": [f"figures/{f.name}.{suffix}" for suffix in f.files],
            }
            for f in figures
        ],
        "tables": [
            {
                "name": t.name,
                "title": t.title,
                "note": t.note,
                "files": [f"tables/{t.name}.{suffix}" for suffix in ("csv", "md", "tex")],
            }
            for t in tables
        ],
    }


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
