"""`fdabench compare`: two results folders side by side, or one's own beside the numbers of the FDA paper."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fdabench.cli.console import Table, print_table, remark
from fdabench.errors import ResultError, UsageError
from fdabench.gate.ab import Line, side_by_side
from fdabench.gate.units import metric_name, readable, signed
from fdabench.report.data import combine
from fdabench.report.published import compare
from fdabench.report.text import DASH, byte_size, percent
from fdabench.report.versus import published_grids, versus_table
from fdabench.results.load import load

AB_COLUMNS = ("cell", "metric", "A", "B", "change", "95 % interval", "seeds", "verdict")


def print_comparison(roots: Sequence[Path], published: bool, form: str) -> None:
    """
    Raises:
        UsageError: neither `--published` nor two results folders.
    """
    if published:
        _print_published(roots, form)
    elif len(roots) == 2:
        _print_sides(roots[0], roots[1], form)
    else:
        raise UsageError("compare: give two results folders, A and B, or --published")


def _print_sides(a: Path, b: Path, form: str) -> None:
    """One row for each cell and metric, and the mean over all cells; how they were paired, to stderr."""
    found = side_by_side(load(a), load(b))
    print_table(Table(AB_COLUMNS, [_side_row(line) for line in found.lines], [_record(x) for x in found.lines]), form)
    if found.differing:
        remark(f"some are paired by label and workload: their configurations differ in {', '.join(found.differing)}")
    if found.alone:
        remark(f"{found.alone} runs have no counterpart and are left out")


def _side_row(line: Line) -> tuple[str, ...]:
    accuracy = line.metric == "accuracy"
    unit, digits, write = (" points", 2, percent) if accuracy else (" %", 1, byte_size)
    interval = ", ".join(signed(end, digits) for end in line.interval) if line.interval else ""
    return (
        readable(line.cell),
        metric_name(line.metric),
        write(line.a),
        write(line.b),
        f"{line.bound}{signed(line.change, digits)}{unit}",
        f"[{interval}]" if interval else DASH,
        str(line.seeds),
        line.verdict,
    )


def _record(line: Line) -> dict[str, Any]:
    low, high = line.interval or (None, None)
    record = {**asdict(line), "change_low": low, "change_high": high}
    return {key: _plain(value) for key, value in record.items() if key != "interval"}


def _print_published(roots: Sequence[Path], form: str) -> None:
    """One row for each published number that has a counterpart; what it means and what is left out, to stderr.

    Raises:
        ResultError: nothing in the results was published.
    """
    found = compare(combine([load(root) for root in roots]))
    if not found.matched:
        raise ResultError(
            f"{', '.join(root.as_posix() for root in roots)}: none of the {found.total} published numbers has a "
            f"counterpart; there are some for {published_grids()}; partitions round-robin and iid-file-order, on mnist "
            "also sorted (0.6) and label (0, 8); thetas of the paper's Table 1"
        )
    table = versus_table(found)
    records = [{str(key): _plain(value) for key, value in row.items()} for row in found.frame.to_dict("records")]
    print_table(Table(table.columns, table.rows, records), form)
    remark(table.note)


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
