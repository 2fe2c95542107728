"""Cells in processes of their own, a few at a time. What happens is told as events; nothing is printed here."""

import multiprocessing as mp
import queue
import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.catalogue.load import load
from fdabench.catalogue.origin import Origin
from fdabench.datasets.base import Data
from fdabench.engine.memory import keep_freed_memory
from fdabench.results.store import Record, Store
from fdabench.run.cell import Machine, Watcher, run_together
from fdabench.run.recorder import Progress
from fdabench.run.setting import budget_of, matrix_of, scale_of
from fdabench.run.shared import mapped, on_disk
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
    """What cells run on, and where their results go."""

    store: Store
    data: Mapping[str, Data]
    device: torch.device
    engine: str
    jobs: int
    """Processes."""
    threads: int
    """Of each process. With another number sums are rounded in another order."""
    together: int
    """Cells whose workers advance as one matrix, at most."""
    catalogue: Catalogue = BUILT_IN


class _Task(NamedTuple):
    """What a process of the pool is given when it begins."""

    store: Store
    folder: Path
    device: torch.device
    engine: str
    threads: int
    plugins: tuple[Origin, ...]


class _Child:
    """What a process of the pool has."""

    store: Store
    machine: Callable[[], Machine]
    """Made when the first cell begins."""
    events: Any
    stop: Any


def run_cells(cells: Sequence[Cell], place: Place) -> Generator[Event]:
    """Run all cells, the longest first. Closing the iterator stops them at their next step.

    A cell whose process dies is `lost`; those that had not begun are given to a new pool.

    Raises:
        TaskError: there is no room for the data.
    """
    catalogue = place.catalogue
    origins = tuple(plugin.origin for plugin in catalogue.plugins)
    waiting = {cell.id: cell for cell in sorted(cells, key=lambda cell: work(cell, catalogue), reverse=True)}
    with on_disk(place.data) as folder:
        task = _Task(place.store, folder, place.device, place.engine, place.threads, origins)
        while waiting:
            begun: dict[str, Cell] = {}
            try:
                groups = grouped(list(waiting.values()), place.together, catalogue)
                for event in _one_pool(groups, place.jobs, task):
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


def work(cell: Cell, catalogue: Catalogue = BUILT_IN) -> float:
    """How long a cell takes, for the order only: numbers that pass through the model's weights."""
    config = cell.config
    samples = float(budget_of(config, catalogue) * config["workers"] * config["batch_size"])
    return samples * scale_of(config, catalogue).num_parameters


def grouped(cells: Sequence[Cell], together: int, catalogue: Catalogue = BUILT_IN) -> list[list[Cell]]:
    """Cells that can share a matrix, at most `together` to a group; the longest group first."""
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(matrix_of(cell.config), []).append(cell)
    groups = [mine[at : at + together] for mine in alike.values() for at in range(0, len(mine), together)]
    return sorted(groups, key=lambda group: sum(work(cell, catalogue) for cell in group), reverse=True)


def _one_pool(groups: Sequence[Sequence[Cell]], jobs: int, task: _Task) -> Iterator[Event]:
    context = mp.get_context("spawn")
    events, stop = context.Queue(), context.Event()
    by_id = {cell.id: cell for group in groups for cell in group}
    pool = ProcessPoolExecutor(
        min(jobs, len(groups)), mp_context=context, initializer=_begin, initargs=(task, events, stop)
    )
    try:
        with _ctrl_c_held_back():
            futures = [pool.submit(_run, group) for group in groups]
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
    while ended < len(by_id):
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


def _begin(task: _Task, events: Any, stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    torch.set_num_threads(task.threads)
    _Child.store, _Child.events, _Child.stop = task.store, events, stop
    data = mapped(task.folder, task.device)
    # a plug-in's classes cannot be sent, so each process runs its code; not here, where whatever raises breaks the pool
    _Child.machine = cache(lambda: Machine(task.device, task.engine, data, catalogue=load(task.plugins)))


def _run(group: Sequence[Cell]) -> None:
    events, stop = _Child.events, _Child.stop
    if stop.is_set():
        return
    for cell in group:
        events.put((cell.id, Started, ()))

    def tell(cell_id: str, progress: Progress) -> None:
        events.put((cell_id, Moved, (progress,)))

    records = run_together(group, _Child.store, _Child.machine(), Watcher(tell, stop.is_set))
    for cell, record in zip(group, records, strict=True):
        events.put((cell.id, Ended, (record,)))


def _lost(cell: Cell, store: Store) -> Record:
    record = store.read_record(cell.id) or {"id": cell.id, "config": cell.config, "attempts": 1}
    record |= {"state": "lost", "error": "the process of this cell died; the system may have run out of memory"}
    store.write_record(cell.id, record)
    return record
