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
SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE.toml", help="A suite file.", show_default=False)]
SuiteFiles = Annotated[list[Path], typer.Argument(metavar="SUITE.toml...", help="Suite files.", show_default=False)]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder to write to.", show_default=False)]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the suite; recorded.")
]
Seeds = Annotated[str | None, typer.Option("--seeds", metavar="0..4", help="Seeds to run instead of the suite's.")]
Chosen = Annotated[str | None, typer.Option("-k", metavar="EXPR", help='Cells to run, as in -k "FDA and not naive".')]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", envvar="FDABENCH_DATA", help="Where data sets are; else ./data.")
]
