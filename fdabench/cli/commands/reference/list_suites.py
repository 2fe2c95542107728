"""`fdabench list suites`: prints the suites that ship with the package."""

import tomllib
from pathlib import Path

from fdabench.cli.arguments.shipped_suites import shipped_suites
from fdabench.cli.console import print_table
from fdabench.errors import SuiteError
from fdabench.suite.reader import read_suite
from fdabench.tables import Table, column


def print_suites(form: str) -> None:
    """Print a row for each suite: its name, the number of its cells, and what it compares.

    Args:
        form: one of `options.Format`.
    """
    records = [_record(name, path) for name, path in shipped_suites().items()]
    columns = (column("name"), column("cells", write=_cells_text), column("about", "what it compares"))
    print_table(Table(records, columns), form)


def _record(name: str, path: Path) -> dict[str, object]:
    """Return the row of a suite.

    A suite that needs files which are not there yet, such as the results of another suite, has no number of cells.
    """
    cells: int | None = None
    try:
        loaded = read_suite(path)
        cells, description = len(loaded.cells), loaded.suite.description
    except SuiteError:
        description = tomllib.loads(path.read_text(encoding="utf-8")).get("description", "")
    return {"name": name, "cells": cells, "about": description.removesuffix(".")}


def _cells_text(cells: int | None) -> str:
    return "–" if cells is None else str(cells)
