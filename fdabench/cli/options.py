"""Options that several commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a result is printed."""

    auto = "auto"
    rich = "rich"
    plain = "plain"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    github = "github"
    junit = "junit"


ResultsDir = Annotated[Path, typer.Argument(metavar="RESULTS", help="A results folder.", show_default=False)]
OutputFormat = Annotated[Format, typer.Option("--output-format", help="How the result is printed.")]
