"""What `run`, `plan` and others ask of a suite, turned into cells."""

from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import print_note
from fdabench.results.workloads import workloads_of
from fdabench.suite.reader import LoadedSuite, read_suite
from fdabench.suite.selection import parse_seeds


def load_suite(path: Path, sets: Sequence[str], seeds: str | None) -> LoadedSuite:
    """The suite with its overrides; remarks on how it was understood go to stderr."""
    overrides = [*sets, *([f"seeds={parse_seeds(seeds)}"] if seeds else [])]
    expanded = read_suite(path, overrides)
    print_notes(expanded)
    return expanded


def print_notes(expanded: LoadedSuite) -> None:
    """How the suite was understood, to stderr."""
    for note in expanded.notes:
        print_note(f"note: {expanded.source}: {note}")


def results_dir(expanded: LoadedSuite, out: Path | None) -> Path:
    return out or Path("results") / expanded.suite.name


def grid_summary(expanded: LoadedSuite) -> str:
    """`24 cells = 6 strategies x 2 workloads x 2 seeds`; without the product where cells are excluded."""
    labels = {cell.label for cell in expanded.cells}
    workloads = set(workloads_of([cell.to_lock() for cell in expanded.cells]).values())
    cells, seeds = len(expanded.cells), len(expanded.suite.seeds)
    counts = [(len(labels), "strategies"), (len(workloads), "workloads"), (seeds, "seeds")]
    product = " x ".join(_counted(count, name) for count, name in counts)
    whole = len(labels) * len(workloads) * seeds == cells
    return f"{_counted(cells, 'cells')} {'=' if whole else 'of'} {product}"


def _counted(count: int, name: str) -> str:
    one = "strategy" if name == "strategies" else name.removesuffix("s")
    return f"{count} {one if count == 1 else name}"
