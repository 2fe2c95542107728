"""`--to trackio`: a database of Trackio, one run for each cell. `TRACKIO_DIR=PATH trackio show` opens it."""

import os
from pathlib import Path

from fdabench.errors import UsageError
from fdabench.export.curves import Curve, curves_of
from fdabench.results.load import Results


def write_trackio(results: Results, path: Path) -> None:
    """Write the folder. Trackio's x axis is an integer that it calls step; for `by_bytes/...` it counts bytes.

    Evaluations are passed to Trackio's storage, not to `trackio.init`, which prints to stdout and sends the run to a
    server if `TRACKIO_SPACE_ID` or `TRACKIO_SERVER_URL` is set.

    Raises:
        UsageError: this process has already imported Trackio, which then keeps its first folder.
    """
    folder = path.resolve()
    os.environ["TRACKIO_DIR"] = str(folder)  # read once, when Trackio is imported
    from trackio.sqlite_storage import SQLiteStorage
    from trackio.utils import TRACKIO_DIR

    if folder != TRACKIO_DIR:
        raise UsageError(f"--to trackio: Trackio writes to {TRACKIO_DIR} in this process; export in a new process")
    for curve in curves_of(results):
        rows = _rows(curve)
        SQLiteStorage.bulk_log(
            project=results.lock.suite,
            run=curve.title,
            run_id=curve.cell_id,
            metrics_list=[values for _, values in rows],
            steps=[x for x, _ in rows],
            config={**curve.settings, "label": curve.label, "state": curve.state},
        )


def _rows(curve: Curve) -> list[tuple[int, dict[str, float]]]:
    return [
        (x, {f"{axis}/{name}": value for name, value in evaluation.values.items()})
        for evaluation in curve.evaluations
        for axis, x in (("by_step", evaluation.step), ("by_bytes", evaluation.bytes_total))
    ]
