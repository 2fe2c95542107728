"""The results folder of cells that run on other nodes: what is sent to a node, and how its results are written."""

from datetime import UTC, datetime

from fdabench.errors import ResultError
from fdabench.execution.local_backend import RunContext
from fdabench.execution.remote_worker import RemoteCell, RemoteResult
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.regular_files import read_regular
from fdabench.results.cell_record import CellRecord
from fdabench.results.files import atomic_write_bytes, remove
from fdabench.results.folder import CHECKPOINT, OPTIONAL_TABLES, TABLES, ResultsFolder
from fdabench.suite.cell import Cell

FILES = frozenset({CHECKPOINT, *(f"{name}.parquet" for name in (*TABLES, *OPTIONAL_TABLES))})
"""Files that a cell may write beside its record."""


def make_remote_cell(cell: Cell, place: RunContext) -> RemoteCell:
    """The cell with its record and its last checkpoint, if it has one."""
    path = place.store.checkpoint_path(cell.id)
    try:
        checkpoint = read_regular(path)
    except OSError:
        # without a readable checkpoint the cell starts at step 0
        checkpoint = None
    return RemoteCell(cell, code_hashes(cell.config, place.registry), place.store.read_record(cell.id), checkpoint)


def record_started(cell: Cell, place: RunContext) -> None:
    """Write the record of a cell that has started: `interrupted`, which stays true if its node dies."""
    before = place.store.read_record(cell.id)
    place.store.write_record(
        CellRecord(
            id=cell.id,
            state="interrupted",
            label=cell.label,
            attempts=(before.attempts if before else 0) + 1,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            config=cell.config,
            code=code_hashes(cell.config, place.registry),
        )
    )


def record_result(left: RemoteResult, store: ResultsFolder) -> None:
    """Write the files of a cell, then its record; remove the checkpoint of a cell that is done.

    Raises:
        ResultError: the results folder cannot be written, or a node names a file that no cell leaves.
    """
    cell_id = left.record.id
    foreign = [name for name in left.files if name not in FILES]
    if foreign:
        raise ResultError(f"cell {cell_id}: a node sent the file {foreign[0]!r:.60}, which no cell leaves")
    for name, content in left.files.items():
        atomic_write_bytes(store.cell_dir(cell_id) / name, content)
    store.write_record(left.record)
    if left.record.has_result:
        remove(store.checkpoint_path(cell_id))


def record_lost(cell_id: str, store: ResultsFolder, cause: str) -> CellRecord | None:
    """Write the record of a cell whose process died; None if the cell had not started."""
    record = store.read_record(cell_id)
    if record is None:
        return None
    lost = record.with_changes({"state": "lost", "error": f"the process of this cell died: {cause}"})
    store.write_record(lost)
    return lost
