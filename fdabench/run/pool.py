"""Cells in processes of their own, a few at a time. What happens is told as events; nothing is printed here."""

import multiprocessing as mp
import queue
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fdabench.engine.memory import keep_freed_memory
from fdabench.results.store import Record, Store
from fdabench.run.cell import run_cell
from fdabench.run.recorder import Progress
from fdabench.suite.cell import Cell

TICK_S = 0.2


class Started(NamedTuple):
    cell: Cell


class Moved(NamedTuple):
    cell: Cell
    progress: Progress


class Ended(NamedTuple):
    cell: Cell
    record: Record


class Tick(NamedTuple):
    """Nothing happened for a while."""


Event = Started | Moved | Ended | Tick


@dataclass(frozen=True)
class Place:
    """Where cells run, and where their results go."""

    store: Store
    data_root: Path
    device: torch.device
    jobs: int


class _Child:
    """What a process of the pool was given when it began."""

    place: Place
    events: Any
    stop: Any


def run_cells(cells: Sequence[Cell], place: Place) -> Generator[Event]:
    """Run all cells, the longest first. Closing the iterator stops them at their next step.

    A cell whose process dies is `lost`; those that had not begun are given to a new pool.
    """
    waiting = {cell.id: cell for cell in sorted(cells, key=_work, reverse=True)}
    while waiting:
        begun: dict[str, Cell] = {}
        try:
            for event in _one_pool(list(waiting.values()), place):
                if isinstance(event, Started):
                    begun[event.cell.id] = event.cell
                elif isinstance(event, Ended):
                    waiting.pop(event.cell.id)
                    begun.pop(event.cell.id, None)
                yield event
        except BrokenProcessPool:
            for cell in begun.values():
                waiting.pop(cell.id)
                yield Ended(cell, _lost(cell, place.store))


def _work(cell: Cell) -> float:
    """A guess at how long a cell takes, for the order only."""
    config = cell.config
    length = config["budget"].get("steps") or config["budget"]["epochs"] * 1000
    return float(length * config["workers"] * config["batch_size"])


def _one_pool(cells: Sequence[Cell], place: Place) -> Iterator[Event]:
    context = mp.get_context("spawn")
    events, stop = context.Queue(), context.Event()
    by_id = {cell.id: cell for cell in cells}
    pool = ProcessPoolExecutor(
        min(place.jobs, len(cells)), mp_context=context, initializer=_begin, initargs=(place, events, stop)
    )
    try:
        with _ctrl_c_held_back():
            futures = [pool.submit(_run, cell) for cell in cells]
        yield from _events(futures, events, by_id)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Processes that begin here never see Ctrl-C, not even while they import; it waits for this one until the end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _events(futures: Sequence[Future[None]], events: Any, by_id: dict[str, Cell]) -> Iterator[Event]:
    ended = 0
    while ended < len(futures):
        try:
            cell_id, kind, content = events.get(timeout=TICK_S)
        except queue.Empty:
            for future in futures:
                if future.done():
                    future.result()
            yield Tick()
            continue
        ended += kind is Ended
        yield kind(by_id[cell_id], *content)


def _begin(place: Place, events: Any, stop: Any) -> None:
    """One thread for each cell: the numbers do not depend on `--jobs`, and small models are fastest so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    torch.set_num_threads(1)
    _Child.place, _Child.events, _Child.stop = place, events, stop


def _run(cell: Cell) -> None:
    place, events = _Child.place, _Child.events
    if _Child.stop.is_set():
        return
    events.put((cell.id, Started, ()))

    def tell(progress: Progress) -> None:
        events.put((cell.id, Moved, (progress,)))

    record = run_cell(cell, place.store, place.data_root, place.device, tell, _Child.stop.is_set)
    events.put((cell.id, Ended, (record,)))


def _lost(cell: Cell, store: Store) -> Record:
    record = store.read_record(cell.id) or {"id": cell.id, "config": cell.config, "attempts": 1}
    record |= {"state": "lost", "error": "the process of this cell died; the system may have run out of memory"}
    store.write_record(cell.id, record)
    return record
