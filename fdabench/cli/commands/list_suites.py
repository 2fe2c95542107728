"""`fdabench list suites`: prints the suites that ship with the package."""

from fdabench.cli.arguments.shipped_suites import shipped_suites
from fdabench.cli.console import print_table
from fdabench.suite.reader import read_suite
from fdabench.tables import Table, column


def print_suites(form: str) -> None:
    """Print a row for each suite: its name, its cells, and what it compares.

    Args:
        form: one of `options.Format`.
    """
    records: list[dict[str, object]] = []
    for name, path in shipped_suites().items():
        loaded = read_suite(path)
        description = loaded.suite.description.removesuffix(".")
        records.append({"name": name, "cells": len(loaded.cells), "about": description})
    columns = (column("name"), column("cells"), column("about", "what it compares"))
    print_table(Table(records, columns), form)
