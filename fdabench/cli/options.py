"""Options and arguments that several commands share, and the panels under which `--help` lists them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fdabench.cli.arguments.completion import complete_results, complete_selection, complete_suite
from fdabench.cli.arguments.shipped_suites import parse_suite

CELLS, STOP_AND_RESUME, MACHINE, DISTRIBUTED, OUTPUT = "Cells", "Stop and resume", "Machine", "Distributed", "Output"


class Format(StrEnum):
    """The values of `--output-format`."""

    auto = "auto"
    rich = "rich"
    plain = "plain"
    json = "json"
    csv = "csv"
    markdown = "markdown"


class CheckFormat(StrEnum):
    """The values of `--output-format` of `fdabench check`."""

    auto = "auto"
    rich = "rich"
    plain = "plain"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    github = "github"
    junit = "junit"


def _format_choices(forms: type[StrEnum]) -> str:
    *others, last = [form.value for form in forms if form.value != "auto"]
    return f"{', '.join(others)} or {last}"


_FORMAT_HELP = "Output format: auto (rich on a terminal, plain in a pipe), "
ResultsDir = Annotated[
    Path,
    typer.Argument(metavar="RESULTS", help="A results folder.", show_default=False, autocompletion=complete_results),
]
ResultsDirs = Annotated[
    list[Path],
    typer.Argument(metavar="RESULTS...", help="Results folders.", show_default=False, autocompletion=complete_results),
]
OutputFormat = Annotated[
    Format,
    typer.Option(
        "--output-format", metavar="FORMAT", rich_help_panel=OUTPUT, help=f"{_FORMAT_HELP}{_format_choices(Format)}."
    ),
]
CheckOutputFormat = Annotated[
    CheckFormat,
    typer.Option(
        "--output-format",
        metavar="FORMAT",
        rich_help_panel=OUTPUT,
        help=f"{_FORMAT_HELP}{_format_choices(CheckFormat)}.",
    ),
]
SuiteFile = Annotated[
    Path,
    typer.Argument(
        metavar="SUITE.toml",
        help="A suite file, or a name of `list suites`.",
        show_default=False,
        parser=parse_suite,
        autocompletion=complete_suite,
    ),
]
SuiteFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="SUITE.toml...",
        help="Suite files, or names of `list suites`.",
        show_default=False,
        parser=parse_suite,
        autocompletion=complete_suite,
    ),
]
ResultsOut = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", metavar="DIR", rich_help_panel=CELLS, help="Results folder.  [default: results/<suite name>]"
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        rich_help_panel=CELLS,
        help="Override a value of the suite, such as budget.steps=100. May be given repeatedly.",
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="0..4",
        rich_help_panel=CELLS,
        help="Seeds to run, such as 0..4 or 0,2,7.  [default: the suite's]",
    ),
]
SelectedCells = Annotated[
    str | None,
    typer.Option(
        "-k",
        metavar="EXPR",
        autocompletion=complete_selection,
        rich_help_panel=CELLS,
        help='Select cells whose title matches, such as "FDA and not naive".  [default: all]',
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="FDABENCH_DATA",
        metavar="DIR",
        rich_help_panel=MACHINE,
        help="Folder of the data sets. Missing data sets are downloaded to it.  [default: ./data]",
    ),
]
