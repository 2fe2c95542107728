"""`fdabench validate`: suite files only, all faults of all files at once."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from fdabench.catalogue.origin import installed
from fdabench.cli.console import Table, print_table, remark, say
from fdabench.cli.request import grid_line, tell_notes
from fdabench.errors import SuiteError, UsageError
from fdabench.suite.editor import suite_json_schema
from fdabench.suite.reader import plugins_named, read_plugins, read_suite


def validate_suites(paths: Sequence[Path]) -> None:
    """A line for each good file; each bad one with its faults, and then exit 2."""
    if not paths:
        raise UsageError("validate: give a suite file, or --schema")
    bad = [path for path in paths if not _valid(path)]
    if bad:
        raise typer.Exit(SuiteError.exit_code)


def _valid(path: Path) -> bool:
    try:
        suite = read_suite(path)
    except SuiteError as error:
        remark(str(error))
        return False
    say(f"{path}: good; {grid_line(suite)}")
    tell_notes(suite)
    return True


def print_plugins(paths: Sequence[Path]) -> None:
    """A row for each plug-in that reading these suites would run: its file, and who names it. Runs none of them."""
    if not paths:
        raise UsageError("validate: give a suite file")
    rows = [
        (each.path.as_posix(), f"{each.suite.as_posix()}: {each.place}")
        for path in paths
        for each in plugins_named(path)
    ]
    rows += [(f"{package.name} = {package.value}", f"installed: {package.where}") for package in installed()]
    print_table(Table(("plug-in", "named by"), rows), "auto")


def print_schema(paths: Sequence[Path]) -> None:
    """The JSON Schema of suites, with what the plug-ins of the suite add."""
    catalogue = read_plugins(paths[0] if paths else None)
    say(json.dumps(suite_json_schema(catalogue), indent=2, ensure_ascii=False))
