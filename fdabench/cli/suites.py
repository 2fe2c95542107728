"""Loads a suite with the options of the command line, for `run`, `plan` and `validate`."""

from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import print_note
from fdabench.results.workloads import workloads_of
from fdabench.suite.reader import LoadedSuite, read_suite
from fdabench.suite.selection import parse_seeds


def load_suite(path: Path, sets: Sequence[str], seeds: str | None) -> LoadedSuite:
    """Read a suite and print its notes to stderr.

    Args:
        path: the suite file.
        sets: values of `--set`, such as `budget.steps=100`.
        seeds: the value of `--seeds`, or None for the suite's seeds.

    Raises:
        SuiteError: the suite or an override is wrong.
    """
    overrides = [*sets, *([f"seeds={parse_seeds(seeds)}"] if seeds else [])]
    expanded = read_suite(path, overrides)
    print_notes(expanded)
    return expanded


def print_notes(expanded: LoadedSuite) -> None:
    """Print to stderr how the suite was interpreted, where that may be unexpected."""
    for note in expanded.notes:
        print_note(f"note: {expanded.source}: {note}")


def results_dir(expanded: LoadedSuite, out: Path | None) -> Path:
    """The results folder: the value of `--out`, or `results/<suite name>`."""
    return out or Path("results") / expanded.suite.name


def grid_summary(expanded: LoadedSuite) -> str:
    """Return `24 cells = 6 strategies x 2 workloads x 2 seeds`.

    If cells are excluded, `of` replaces the equals sign.
    """
    labels = {cell.label for cell in expanded.cells}
    workloads = set(workloads_of([cell.to_lock() for cell in expanded.cells]).values())
    cells, seeds = len(expanded.cells), len(expanded.suite.seeds)
    counts = [(len(labels), "strategies"), (len(workloads), "workloads"), (seeds, "seeds")]
    product = " x ".join(_format_count(count, name) for count, name in counts)
    is_full_grid = len(labels) * len(workloads) * seeds == cells
    return f"{_format_count(cells, 'cells')} {'=' if is_full_grid else 'of'} {product}"


def _format_count(count: int, name: str) -> str:
    singular = "strategy" if name == "strategies" else name.removesuffix("s")
    return f"{count} {singular if count == 1 else name}"
