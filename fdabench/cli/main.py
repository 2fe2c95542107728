"""The command line `fdabench`, which joins all commands.

Each command imports its modules when it is called, so that `--help` does not wait for torch and pandas.
"""

import gc
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fdabench import __version__
from fdabench.cli.arguments.completion import complete_results, complete_results_or_cell, complete_suite
from fdabench.cli.arguments.shipped_suites import parse_suite
from fdabench.cli.commands.gate_commands import baselines, check
from fdabench.cli.commands.run_command import run
from fdabench.cli.commands.setup_commands import doctor, init, merge, plan
from fdabench.cli.exit_codes import run_app, with_exit_codes
from fdabench.cli.help import GATE, INSPECT, REFERENCE, RUN, Command, CommandGroup, example
from fdabench.cli.options import Format, OutputFormat, ResultsDir, ResultsDirs, SelectedCells, SuiteFile
from fdabench.errors import did_you_mean

app = typer.Typer(
    cls=CommandGroup,
    help="Compare when and how workers synchronize in distributed and federated deep learning.",
    epilog="First steps: fdabench run quickstart. Then: fdabench init. Help of a command: fdabench COMMAND -h",
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class ListArgument(StrEnum):
    """The values of the argument of `fdabench list`."""

    strategies = "strategies"
    monitors = "monitors"
    servers = "servers"
    triggers = "triggers"
    codecs = "codecs"
    corrections = "corrections"
    optimizers = "optimizers"
    schedules = "schedules"
    datasets = "datasets"
    formats = "formats"
    models = "models"
    sources = "sources"
    partitions = "partitions"
    conventions = "conventions"
    networks = "networks"
    fleets = "fleets"
    suites = "suites"


class ExportTool(StrEnum):
    """The values of `fdabench export --to`, the keys of `export.formats.FORMATS`."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"
    trackio = "trackio"
    github_benchmark = "github-benchmark"
    bencher = "bencher"
    csv = "csv"
    archive = "archive"


_NAMES = [kind.value for kind in ListArgument]
_ALL_LISTED = ", ".join(_NAMES)


def _parse_listed(word: str) -> ListArgument:
    try:
        return ListArgument(word)
    except ValueError:
        raise typer.BadParameter(f"{word!r} is unknown; allowed: {_ALL_LISTED}{did_you_mean(word, _NAMES)}") from None


def _complete_listed(incomplete: str) -> list[str]:
    return [name for name in _NAMES if name.startswith(incomplete)]


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"fdabench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Compare when and how workers synchronize in distributed and federated deep learning."""


@with_exit_codes
def validate(
    suites: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SUITE.toml...",
            help="Suite files, or names of `list suites`.",
            show_default=False,
            parser=parse_suite,
            autocompletion=complete_suite,
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of suite files, for editors.")
    ] = False,
    plugins: Annotated[
        bool, typer.Option("--plugins", help="Print the plug-ins that the suites load, without running them.")
    ] = False,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Check suite files and print all errors in them."""
    from fdabench.cli.commands.runs.validate import print_plugins, print_schema, validate_suites

    if schema:
        print_schema(suites or [])
    elif plugins:
        print_plugins(suites or [], output_format.value)
    else:
        validate_suites(suites or [], output_format.value)


@with_exit_codes
def status(results: ResultsDir, output_format: OutputFormat = Format.auto) -> None:
    """Print the progress of a run from its results folder."""
    from fdabench.cli.commands.results.status import print_status

    print_status(results, output_format.value)


@with_exit_codes
def show(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS... [CELL]",
            help="Results folders. A cell may follow one folder: its id, the start of its id, or words of its title.",
            show_default=False,
            autocompletion=complete_results_or_cell,
        ),
    ],
    output_format: OutputFormat = Format.auto,
) -> None:
    """Print the conclusion of results, or one of their cells.

    The page of a cell has its configuration, accuracies, targets, evaluations, ledger, costs and sync timeline.
    """
    from fdabench.cli.commands.results.show import show as show_results

    show_results(results, output_format.value)


@with_exit_codes
def report(
    results: ResultsDirs,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Report folder.  [default: reports/<suite name>]"),
    ] = None,
    fleet: Annotated[
        list[str] | None,
        typer.Option(
            "--fleet",
            metavar="NAME|FILE",
            help="Also model the time to the target on a fleet: a name of `list fleets`, or a fleet file. May be given "
            "repeatedly.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write an HTML report with tables and figures."""
    from fdabench.cli.commands.results.report import write_report

    write_report(results, out, fleet or [])


@with_exit_codes
def export(
    results: ResultsDir,
    to: Annotated[ExportTool, typer.Option("--to", help="The tool to write for; required.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="PATH", help="File or folder.  [default: named by the tool]")
    ] = None,
) -> None:
    """Write results for another tool, or as one file.

    `archive` is a compressed file with all of the results, which other commands read in place of a results folder.
    """
    from fdabench.cli.commands.results.export import export_results

    export_results(results, to.value, out)


@with_exit_codes
def compare(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="Two results folders, A and B. With --published, one or more.",
            show_default=False,
            autocompletion=complete_results,
        ),
    ],
    published: Annotated[
        bool, typer.Option("--published", help="Compare with the published numbers of the FDA paper (EDBT 2025).")
    ] = False,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Compare two results, or results with the FDA paper.

    Each row has the cost or the accuracy of a cell in A and in B, the change, its confidence interval and a verdict.
    """
    from fdabench.cli.commands.results.compare import print_comparison

    print_comparison(results, published, output_format.value)


@with_exit_codes
def advise(
    results: Annotated[
        Path,
        typer.Option("--from", metavar="RESULTS", help="A results folder or archive; required.", show_default=False),
    ],
    parameters: Annotated[
        str,
        typer.Option("--parameters", metavar="N", help="Of your model, such as 125M; required.", show_default=False),
    ],
    workers: Annotated[
        int, typer.Option("--workers", metavar="K", help="Workers that train; required.", show_default=False)
    ],
    network: Annotated[
        str | None,
        typer.Option("--network", metavar="NAME", help="A name of `list networks`.  [default: the links of --fleet]"),
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option(
            "--fleet",
            metavar="NAME|FILE",
            help="A name of `list fleets`, or a fleet file.  [default: workers of equal speed]",
        ),
    ] = None,
    step_ms: Annotated[
        float, typer.Option("--step-ms", metavar="MS", help="Mean milliseconds of a local step.")
    ] = 100.0,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", help="Steps that the reference needs in your training.")
    ] = 10_000,
    chosen: SelectedCells = None,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Recommend a strategy for your model and network.

    The command estimates the time and the bytes of each strategy of the results in your training. From the results it
    uses how many steps a strategy needs and how often it synchronizes. -k selects cells that resemble your workload.
    """
    from fdabench.cli.commands.results.advise import AdviseRequest, print_advice

    request = AdviseRequest(results, parameters, workers, network, fleet, step_ms, steps, chosen)
    print_advice(request, output_format.value)


@with_exit_codes
def list_(
    what: Annotated[
        ListArgument,
        typer.Argument(
            parser=_parse_listed,
            metavar="WHAT",
            help=_ALL_LISTED,
            show_default=False,
            autocompletion=_complete_listed,
        ),
    ],
    suite: Annotated[
        Path | None,
        typer.Option(
            "--suite",
            metavar="SUITE.toml",
            help="Also list the names that plug-ins of this suite add.",
            parser=parse_suite,
            autocompletion=complete_suite,
        ),
    ] = None,
    output_format: OutputFormat = Format.auto,
) -> None:
    """List the names that a suite may use, and the suites."""
    from fdabench.cli.console import print_table
    from fdabench.cli.constants import CONSTANTS

    if what.value in CONSTANTS and suite is None:
        print_table(CONSTANTS[what.value](), output_format.value)
        return
    if what is ListArgument.suites:
        from fdabench.cli.commands.reference.list_suites import print_suites

        print_suites(output_format.value)
        return
    from fdabench.cli.commands.reference.list import print_list

    print_list(what.value, suite, output_format.value)


@with_exit_codes
def inspect(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="A file or a folder of data.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="TABLE", help="The value of the key model of a workload.  [default: none]"),
    ] = None,
    shape: Annotated[str, typer.Option("--shape", metavar="CxHxW", help="Of images, for --model.")] = "3x32x32",
    classes: Annotated[int, typer.Option("--classes", metavar="N", help="Outputs, for --model.")] = 10,
) -> None:
    """Describe data on disk or a model, and print its TOML."""
    from fdabench.cli.commands.runs.inspect import inspect as print_inspection

    print_inspection(path, model, shape, classes)


@with_exit_codes
def cite(suite: SuiteFile) -> None:
    """Print BibTeX entries of the components in a suite."""
    from fdabench.cli.commands.reference.cite import print_citations

    print_citations(suite)


_RUN_CODES = (3, 75, 130, 143)
_WORSE = {1: "a metric is worse, or a limit is violated", 4: "nothing, or not everything, could be compared"}

app.command(cls=Command, rich_help_panel=RUN, epilog=example("fdabench init suite.toml"))(init)
app.command(cls=Command, rich_help_panel=RUN, epilog=example("fdabench validate suite.toml"))(validate)
app.command(cls=Command, rich_help_panel=RUN, epilog=example("fdabench inspect femnist.parquet"))(inspect)
app.command(cls=Command, rich_help_panel=RUN, epilog=example("fdabench plan suite.toml -v"))(plan)
app.command(
    cls=Command,
    rich_help_panel=RUN,
    epilog=example('fdabench run suite.toml --seeds 0..4 -k "LinearFDA or FedAvg" --jobs 4', *_RUN_CODES),
)(run)
app.command(cls=Command, rich_help_panel=RUN, epilog=example("fdabench merge shard-1 shard-2 -o results/whole"))(merge)
app.command(cls=Command, rich_help_panel=INSPECT, epilog=example("fdabench status results/quickstart"))(status)
app.command(cls=Command, rich_help_panel=INSPECT, epilog=example("fdabench show results/quickstart LinearFDA iid s0"))(
    show
)
app.command(cls=Command, rich_help_panel=INSPECT, epilog=example("fdabench report results/quickstart"))(report)
app.command(cls=Command, rich_help_panel=INSPECT, epilog=example("fdabench export results/quickstart --to csv"))(export)
app.command(cls=Command, rich_help_panel=INSPECT, epilog=example("fdabench compare results/before results/after"))(
    compare
)
app.command(
    cls=Command,
    rich_help_panel=INSPECT,
    epilog=example("fdabench advise --from results/cifar --parameters 125M --workers 16 --network wan-100Mbps-40ms"),
)(advise)
app.command(
    cls=Command,
    rich_help_panel=GATE,
    short_help="Fail if results are worse than a baseline or a limit.",
    epilog=example("fdabench check results/ci --baseline baseline.toml", others=_WORSE),
)(check)
app.add_typer(
    baselines,
    name="baseline",
    cls=CommandGroup,
    rich_help_panel=GATE,
    short_help="Save, accept or show the baseline of `check`.",
)
app.command("list", cls=Command, rich_help_panel=REFERENCE, epilog=example("fdabench list strategies"))(list_)
app.command(cls=Command, rich_help_panel=REFERENCE, epilog=example("fdabench cite suite.toml > suite.bib"))(cite)
app.command(cls=Command, rich_help_panel=REFERENCE, epilog=example("fdabench doctor"))(doctor)


def main() -> None:
    """Run the program. This is the entry point that the package installs."""
    # Imports create many objects that are never freed. With the default threshold of 700 objects, garbage collection
    # among them would take a tenth of the start time.
    gc.set_threshold(50_000, 20, 50)
    run_app(app)
