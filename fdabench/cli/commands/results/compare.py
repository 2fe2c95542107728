"""`fdabench compare`: compares two results folders, or results with the published numbers of the FDA paper."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from fdabench.analysis.data import combine_results
from fdabench.analysis.published import compare_with_published
from fdabench.cli.console import print_note, print_table
from fdabench.errors import ResultError, UsageError
from fdabench.formatting import DASH, format_bytes, plural
from fdabench.gate.compare.side_by_side import ComparisonRow, side_by_side
from fdabench.gate.output.units import format_signed_percent, metric_name, quality_change_text
from fdabench.metrics import METRICS
from fdabench.report.tables.published import published_grids, published_table
from fdabench.results.load import load
from fdabench.tables import Column, Record, Table, column


def print_comparison(roots: Sequence[Path], published: bool, form: str) -> None:
    """Print a table with one row for each value that is compared.

    Args:
        roots: two results folders, or one or more with `published`.
        published: compare with the numbers of the FDA paper.
        form: one of `options.Format`.

    Raises:
        UsageError: `published` is not given and there are not two results folders.
        ResultError: results cannot be read, or none of the published numbers has a counterpart.
    """
    if published:
        _print_published(roots, form)
    elif len(roots) == 2:
        _print_sides(roots[0], roots[1], form)
    else:
        raise UsageError(f"compare: {plural(len(roots), 'results folder')} given; give two, A and B, or --published")


def _print_sides(a: Path, b: Path, form: str) -> None:
    """Print one row for each cell and metric, and the mean over all cells. Notes on the pairing go to stderr."""
    comparison = side_by_side(load(a), load(b))
    print_table(Table([_record(line) for line in comparison.lines], _COLUMNS), form)
    if comparison.differing:
        print_note(
            "some cells are paired with the closest one of the same label, data set, model, partition, number of "
            f"workers and batch size; they differ in {', '.join(comparison.differing)}"
        )
    if comparison.num_unpaired:
        print_note(f"{plural(comparison.num_unpaired, 'run')} not compared: there is no counterpart")


def _record(line: ComparisonRow) -> dict[str, object]:
    low, high = line.interval or (None, None)
    record = {**asdict(line), "change_low": low, "change_high": high}
    return {key: value for key, value in record.items() if key != "interval"}


def _size(key: str) -> Callable[[Record], str]:
    """Return a function that formats the value of one side, an accuracy, a loss or bytes."""
    return lambda line: (
        METRICS[line["metric"]].format(line[key]) if line["metric"] in METRICS else format_bytes(line[key])
    )


def _is_computed_from_loss(line: Record) -> bool:
    metric = METRICS.get(line["metric"])
    return metric is not None and metric.source == "loss"


def _change(line: Record) -> str:
    if _is_computed_from_loss(line):
        return quality_change_text(line["metric"], line["change"])
    digits, unit = (2, " points") if line["metric"] == "accuracy" else (1, " %")
    return f"{line['bound']}{format_signed_percent(line['change'], digits)}{unit}"


def _interval(line: Record) -> str:
    if _is_computed_from_loss(line) and line["change_low"] is not None:
        return f"[{line['change_low']:+.3f}, {line['change_high']:+.3f}]"
    ends, digits = (line["change_low"], line["change_high"]), 2 if line["metric"] == "accuracy" else 1
    return DASH if None in ends else f"[{', '.join(format_signed_percent(end, digits) for end in ends)}]"


_COLUMNS = (
    column("cell"),
    column("metric", write=metric_name),
    Column("a", "A", _size("a")),
    Column("b", "B", _size("b")),
    Column("change", "change", _change),
    Column("interval", "95 % interval", _interval),
    column("seeds"),
    column("verdict"),
)


def _print_published(roots: Sequence[Path], form: str) -> None:
    """Print one row for each published number that has a counterpart. What is left out is noted on stderr.

    Raises:
        ResultError: none of the published numbers has a counterpart in the results.
    """
    comparison = compare_with_published(combine_results([load(root) for root in roots]))
    if not comparison.matched:
        raise ResultError(
            f"{', '.join(root.as_posix() for root in roots)}: none of the {comparison.total} published numbers has a "
            f"counterpart in these results. Published numbers exist for {published_grids()}, with the partitions "
            "round-robin and iid-file-order, on mnist also sorted (0.6) and label (0, 8), and with the thetas of Table "
            "1 of the paper"
        )
    table = published_table(comparison)
    print_table(table, form)
    print_note(table.note)
