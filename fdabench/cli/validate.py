"""`fdabench validate`: suite files only, all faults of all files at once."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from fdabench.cli.console import remark, say
from fdabench.cli.request import grid_line, tell_notes
from fdabench.errors import SuiteError, UsageError
from fdabench.suite.editor import suite_json_schema
from fdabench.suite.reader import read_suite


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


def print_schema() -> None:
    """The JSON Schema of suites."""
    say(json.dumps(suite_json_schema(), indent=2, ensure_ascii=False))
