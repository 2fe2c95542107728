"""The results folder of cells that run elsewhere: what is sent there of it, and what is written into it."""

from datetime import UTC, datetime

from fdabench.errors import ResultError
from fdabench.execution.local_backend import RunContext
from fdabench.execution.remote_worker import RemoteCell, RemoteResult
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.regular_files import read_regular
from fdabench.results.files import atomic_write_bytes, remove
from fdabench.results.folder import CHECKPOINT, OPTIONAL_TABLES, SUCCESS_STATES, TABLES, Record, ResultsFolder
from fdabench.suite.cell import Cell

FILES = frozenset({CHECKPOINT, *(f"{name}.parquet" for name in (*TABLES, *OPTIONAL_TABLES))})
"""What a cell leaves beside its record."""


def make_remote_cell(cell: Cell, place: RunContext) -> RemoteCell:
    """With the checkpoint of whoever was at it last."""
    path = place.store.checkpoint_path(cell.id)
    try:
        checkpoint = read_regular(path)
    except OSError:
        # there is none, or nothing that could be sent: the cell begins at step 0
        checkpoint = None
    return RemoteCell(cell, code_hashes(cell.config, place.registry), place.store.read_record(cell.id), checkpoint)


def record_started(cell: Cell, place: RunContext) -> None:
    """What stays true if nothing is heard of it any more: it was begun once more."""
    before = place.store.read_record(cell.id)
    record = {
        "id": cell.id,
        "state": "interrupted",
        "label": cell.label,
        "attempts": (before["attempts"] if before else 0) + 1,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": cell.config.to_dict(),
        "code": code_hashes(cell.config, place.registry),
    }
    place.store.write_record(cell.id, record)


def record_result(left: RemoteResult, store: ResultsFolder) -> None:
    """The record last; a checkpoint goes when there is a result.

    Raises:
        ResultError: the results folder cannot be written, or a node names a file that no cell leaves.
    """
    cell_id = left.record["id"]
    foreign = [name for name in left.files if name not in FILES]
    if foreign:
        raise ResultError(f"cell {cell_id}: a node sent the file {foreign[0]!r:.60}, which no cell leaves")
    for name, content in left.files.items():
        atomic_write_bytes(store.cell_dir(cell_id) / name, content)
    store.write_record(cell_id, left.record)
    if left.record["state"] in SUCCESS_STATES:
        remove(store.checkpoint_path(cell_id))


def record_lost(cell_id: str, store: ResultsFolder, cause: str) -> Record | None:
    """None where nothing was written when it began."""
    record = store.read_record(cell_id)
    if record is not None:
        record |= {"state": "lost", "error": f"the process of this cell died: {cause}"}
        store.write_record(cell_id, record)
    return record
