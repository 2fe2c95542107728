"""The results folder of cells that run on other nodes: what is sent to a node, and how its results are written."""

from datetime import UTC, datetime

from fdabench.errors import ResultError
from fdabench.execution.backend import RunContext
from fdabench.execution.remote_worker import RemoteCell, RemoteResult
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.regular_files import read_regular
from fdabench.results.cell_record import CellRecord
from fdabench.results.files import atomic_write_bytes, remove
from fdabench.results.folder import CHECKPOINT, OPTIONAL_TABLES, TABLES, ResultsFolder
from fdabench.suite.cell import Cell

FILES = frozenset({CHECKPOINT, *(f"{name}.parquet" for name in (*TABLES, *OPTIONAL_TABLES))})
"""Names of the files that a cell may write, without its record."""


def make_remote_cell(cell: Cell, context: RunContext) -> RemoteCell:
    """The cell with its record and its last checkpoint, if it has one."""
    path = context.store.checkpoint_path(cell.id)
    try:
        checkpoint = read_regular(path)
    except OSError:
        # without a readable checkpoint the cell starts at step 0
        checkpoint = None
    return RemoteCell(cell, code_hashes(cell.config, context.registry), context.store.read_record(cell.id), checkpoint)


def record_started(cell: Cell, context: RunContext) -> None:
    """Write the record of a cell that has started: `interrupted`, which stays true if its node dies."""
    previous = context.store.read_record(cell.id)
    context.store.write_record(
        CellRecord(
            id=cell.id,
            state="interrupted",
            label=cell.label,
            attempts=(previous.attempts if previous else 0) + 1,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            config=cell.config,
            code=code_hashes(cell.config, context.registry),
        )
    )


def record_result(result: RemoteResult, store: ResultsFolder) -> None:
    """Write the files of a cell, then its record; remove the checkpoint of a cell that is done.

    Raises:
        ResultError: the results folder cannot be written, or a node sent a file that is not a file of a cell.
    """
    cell_id = result.record.id
    unknown = [name for name in result.files if name not in FILES]
    if unknown:
        raise ResultError(f"cell {cell_id}: a node sent the file {unknown[0]!r:.60}, which is not a file of a cell")
    for name, content in result.files.items():
        atomic_write_bytes(store.cell_dir(cell_id) / name, content)
    store.write_record(result.record)
    if result.record.has_result:
        remove(store.checkpoint_path(cell_id))


def record_lost(cell_id: str, store: ResultsFolder, cause: str) -> CellRecord | None:
    """Write the record of a cell whose process died; None if the cell had not started."""
    record = store.read_record(cell_id)
    if record is None:
        return None
    lost = record.with_changes({"state": "lost", "error": f"the process of this cell died: {cause}"})
    store.write_record(lost)
    return lost
