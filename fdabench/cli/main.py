"""The command line. Each command imports what it needs when it is called, so that `--help` answers at once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fdabench import __version__
from fdabench.cli.around import doctor, merge, plan
from fdabench.cli.gate import baselines, check
from fdabench.cli.guard import guarded, with_help
from fdabench.cli.options import (
    Chosen,
    DataDir,
    Format,
    Out,
    OutputFormat,
    ResultsDir,
    Seeds,
    Sets,
    SuiteFile,
    SuiteFiles,
)
from fdabench.errors import nearest

app = typer.Typer(
    help="Compare when and how workers synchronise in distributed and federated deep learning.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Listed(StrEnum):
    """What there is to choose from."""

    strategies = "strategies"
    monitors = "monitors"
    servers = "servers"
    optimizers = "optimizers"
    datasets = "datasets"
    models = "models"
    partitions = "partitions"
    conventions = "conventions"
    networks = "networks"


_NAMES = [each.value for each in Listed]
_ALL_LISTED = ", ".join(_NAMES)


def _listed(word: str) -> Listed:
    try:
        return Listed(word)
    except ValueError:
        raise typer.BadParameter(f"{word!r} is unknown; allowed: {_ALL_LISTED}{nearest(word, _NAMES)}") from None


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fdabench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Compare when and how workers synchronise in distributed and federated deep learning."""


@app.command()
@guarded
def run(
    suites: SuiteFiles,
    out: Out = None,
    data_dir: DataDir = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Processes; else one per core.")] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=0, max=4096, help="Of each process; 0 shares the cores out.")
    ] = 1,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="auto, sequential, vectorised or distributed.")] = "auto",
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, help="That hold a cell's workers, with --engine distributed."),
    ] = None,
    mean: Annotated[
        str, typer.Option("--mean", help="Of distributed workers: ordered, bitwise the simulation's, or allreduce.")
    ] = "ordered",
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="How long distributed processes wait for each other.")
    ] = "5m",
    together: Annotated[
        int | None,
        typer.Option("--together", min=1, help="Cells that advance as one matrix; else what suits."),
    ] = None,
    measure_wire: Annotated[
        str | None,
        typer.Option("--measure-wire", metavar="INTERFACE", help="Read its counters around each distributed average."),
    ] = None,
    executor: Annotated[
        str, typer.Option("--executor", help="Who runs the cells: processes of this machine, or ray, a cluster.")
    ] = "processes",
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", metavar="HOST:PORT", help="Of the cluster; else RAY_ADDRESS, or this machine's."),
    ] = None,
    sets: Sets = None,
    seeds: Seeds = None,
    chosen: Chosen = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="The I-th of N shares of the cells, for job arrays.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run all cells from their beginning, done or not.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run cells again that have failed.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop when a cell has failed.")] = False,
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="TIME", help="Stop after 90s, 30m, 1h30m or 2d; exit code 75.")
    ] = None,
    checkpoint_every: Annotated[
        str | None, typer.Option("--checkpoint-every", metavar="TIME", help="Of a cell under way; else 60s.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, only the summary.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="A line for every evaluation, too.")] = False,
) -> None:
    """Run what is missing, then print the summary."""
    from fdabench.cli.progress import Loudness
    from fdabench.cli.run import Hardware, Limits, Request, run_suites
    from fdabench.cli.team import Asked

    loudness = Loudness.asked(quiet, verbose)
    team = Asked(processes, mean, timeout, measure_wire)
    hardware = Hardware(jobs, threads, device, engine, together, checkpoint_every, team, executor, ray_address)
    limits = Limits(chosen, shard, fresh, retry_failed, fail_fast, max_time)
    run_suites(Request(tuple(suites), out, data_dir, hardware, tuple(sets or ()), seeds, limits, loudness))


app.command()(plan)


@app.command()
@guarded
def validate(
    suites: Annotated[list[Path] | None, typer.Argument(metavar="SUITE.toml...", show_default=False)] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of suites, for editors.")] = False,
    plugins: Annotated[
        bool, typer.Option("--plugins", help="Only say which plug-ins would be loaded, and run none of their code.")
    ] = False,
) -> None:
    """Check suite files; every fault is told at once."""
    from fdabench.cli.validate import print_plugins, print_schema, validate_suites

    if schema:
        print_schema(suites or [])
    elif plugins:
        print_plugins(suites or [])
    else:
        validate_suites(suites or [])


@app.command()
@guarded
def status(results: ResultsDir, output_format: OutputFormat = Format.auto) -> None:
    """Say how far a run is, from any shell."""
    from fdabench.cli.status import print_status

    print_status(results, output_format.value)


@app.command()
@guarded
def show(
    results: ResultsDir,
    cell: Annotated[str, typer.Argument(metavar="CELL", help="The beginning of a cell's id.", show_default=False)],
) -> None:
    """Show one cell: configuration, state, ledger, sync timeline."""
    from fdabench.cli.show import print_cell

    print_cell(results, cell)


@app.command()
@guarded
def report(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", show_default=False)], out: Out = None
) -> None:
    """Write one page, its tables and figures, and a summary."""
    from fdabench.cli.report import write_report

    write_report(results, out)


@app.command()
@guarded
def compare(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", show_default=False)],
    published: Annotated[
        bool, typer.Option("--published", help="With the published numbers of the FDA paper (EDBT 2025).")
    ] = False,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Lay two results folders side by side, or results beside what was published."""
    from fdabench.cli.compare import print_comparison

    print_comparison(results, published, output_format.value)


app.command()(doctor)
app.command()(merge)
app.command()(check)
app.add_typer(baselines, name="baseline")


@app.command("list")
@guarded
def list_(
    what: Annotated[Listed, typer.Argument(parser=_listed, metavar="WHAT", help=_ALL_LISTED, show_default=False)],
    suite: Annotated[
        Path | None,
        typer.Option("--suite", metavar="SUITE.toml", help="With what its plug-ins add.", show_default=False),
    ] = None,
    output_format: OutputFormat = Format.auto,
) -> None:
    """List what a suite may name."""
    from fdabench.cli.listing import print_list

    print_list(what.value, suite, output_format.value)


@app.command()
@guarded
def cite(suite: SuiteFile) -> None:
    """Print BibTeX of exactly what the suite uses."""
    from fdabench.cli.cite import print_citations

    print_citations(suite)


def main() -> None:
    """The `fdabench` program."""
    with_help(app)
