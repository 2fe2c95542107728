"""The results folder of cells that run elsewhere: what is sent there of it, and what is written into it."""

from datetime import UTC, datetime

from fdabench.results.files import write_whole
from fdabench.results.store import RESULTS, Record, Store
from fdabench.run.away import Left, Parcel
from fdabench.run.closure import code_of
from fdabench.run.pool import Place
from fdabench.suite.cell import Cell


def parcel_of(cell: Cell, place: Place) -> Parcel:
    """With the checkpoint of whoever was at it last."""
    path = place.store.checkpoint_path(cell.id)
    checkpoint = path.read_bytes() if path.exists() else None
    return Parcel(cell, code_of(cell.config, place.catalogue), place.store.read_record(cell.id), checkpoint)


def write_begun(cell: Cell, place: Place) -> None:
    """What stays true if nothing is heard of it any more: it was begun once more."""
    before = place.store.read_record(cell.id)
    record = {
        "id": cell.id,
        "state": "interrupted",
        "label": cell.label,
        "attempts": (before["attempts"] if before else 0) + 1,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": cell.config,
        "code": code_of(cell.config, place.catalogue),
    }
    place.store.write_record(cell.id, record)


def write_left(left: Left, store: Store) -> None:
    """The record last; a checkpoint goes when there is a result."""
    cell_id = left.record["id"]
    for name, content in left.files.items():
        write_whole(store.cell_dir(cell_id) / name, content)
    store.write_record(cell_id, left.record)
    if left.record["state"] in RESULTS:
        store.checkpoint_path(cell_id).unlink(missing_ok=True)


def write_lost(cell_id: str, store: Store, cause: str) -> Record | None:
    """None where nothing was written when it began."""
    record = store.read_record(cell_id)
    if record is not None:
        record |= {"state": "lost", "error": f"the process of this cell died: {cause}"}
        store.write_record(cell_id, record)
    return record
