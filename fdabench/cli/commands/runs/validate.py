"""`fdabench validate`: checks suite files and prints all faults of all files.

It also prints plug-ins and the schema.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from fdabench.cli.console import print_data, print_note, print_result, print_table
from fdabench.cli.suites import grid_summary, print_notes
from fdabench.errors import SuiteError, UsageError
from fdabench.registry.plugin_source import installed_plugins
from fdabench.suite.editor import suite_json_schema
from fdabench.suite.reader import list_plugin_files, read_registry, read_suite
from fdabench.tables import Table, column


def validate_suites(paths: Sequence[Path], form: str) -> None:
    """Print a line for each valid file to stdout, and the faults of each invalid one to stderr.

    With `json`, stdout has a record for each file, with its cells, notes and faults.

    Args:
        paths: suite files.
        form: one of `options.Format`, except `csv` and `markdown`.

    Raises:
        UsageError: there is no file, or the format is not supported.
        typer.Exit: a file is invalid; the exit code is 2.
    """
    if not paths:
        raise UsageError("validate: no suite file is given; give one or more, or --schema")
    if form in ("csv", "markdown"):
        raise UsageError(
            f"--output-format {form}: validate does not have this format; expected auto, rich, plain or json"
        )
    rows = [_validate(path) for path in paths]
    if form == "json":
        print_data(rows)
    else:
        for row in rows:
            if row["good"]:
                print_result(f"{row['file']}: valid; {row['grid']}")
    if not all(row["good"] for row in rows):
        raise typer.Exit(SuiteError.exit_code)


def _validate(path: Path) -> dict[str, object]:
    try:
        suite = read_suite(path)
    except SuiteError as error:
        print_note(str(error))
        return {"file": path.as_posix(), "good": False, "faults": list(error.faults)}
    print_notes(suite)
    return {
        "file": path.as_posix(),
        "good": True,
        "name": suite.suite.name,
        "cells": len(suite.cells),
        "strategies": list(dict.fromkeys(cell.label for cell in suite.cells)),
        "seeds": list(suite.suite.seeds),
        "grid": grid_summary(suite),
        "notes": list(suite.notes),
        "faults": [],
    }


def print_plugins(paths: Sequence[Path], form: str) -> None:
    """Print a row for each plug-in that `read_suite` would run for these suites: its file, and the key that names it.

    This function runs no code of a plug-in.

    Args:
        paths: suite files.
        form: one of `options.Format`.

    Raises:
        UsageError: there is no file.
    """
    if not paths:
        raise UsageError("validate: no suite file is given; give one or more")
    records = [
        {"plug-in": file.path.as_posix(), "named by": f"{file.suite.as_posix()}: {file.place}"}
        for path in paths
        for file in list_plugin_files(path)
    ]
    records += [
        {"plug-in": f"{package.name} = {package.value}", "named by": f"installed: {package.declared_in}"}
        for package in installed_plugins()
    ]
    print_table(Table(records, [column("plug-in"), column("named by")]), form)


def print_schema(paths: Sequence[Path]) -> None:
    """Print the JSON Schema of suites, with the components that the plug-ins of the first suite add."""
    registry = read_registry(paths[0] if paths else None)
    print_result(json.dumps(suite_json_schema(registry), indent=2, ensure_ascii=False))
