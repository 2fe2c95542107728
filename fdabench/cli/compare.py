"""`fdabench compare RESULTS --published`: one's own results beside the numbers of the FDA paper."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdabench.cli.console import Table, print_table, remark
from fdabench.errors import ResultError, UsageError
from fdabench.report.data import combine
from fdabench.report.published import compare
from fdabench.report.versus import published_grids, versus_table
from fdabench.results.load import load

NOT_YET = (
    "compare: give --published, to lay RESULTS beside the published numbers of the FDA paper; "
    "comparing two results folders with each other is not there yet"
)


def print_comparison(roots: Sequence[Path], published: bool, form: str) -> None:
    """One row for each published number that has a counterpart; what it means and what is left out, to stderr.

    Raises:
        UsageError: no `--published`.
        ResultError: nothing in the results was published.
    """
    if not published:
        raise UsageError(NOT_YET)
    found = compare(combine([load(root) for root in roots]))
    if not found.matched:
        raise ResultError(
            f"{', '.join(root.as_posix() for root in roots)}: none of the {found.total} published numbers has a "
            f"counterpart; there are some for {published_grids()}; partitions iid-file-order, on mnist also "
            "sorted (0.6) and label (0, 8); thetas of the paper's Table 1"
        )
    table = versus_table(found)
    records = [{str(key): _plain(value) for key, value in row.items()} for row in found.frame.to_dict("records")]
    print_table(Table(table.columns, table.rows, records), form)
    remark(table.note)


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
