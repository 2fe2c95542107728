"""Cells as tasks of a Ray cluster, whose nodes need nothing but fdabench: what cells depend on is sent there, what they
leave is written here. Events, stops and records are those of `run.pool`.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from time import monotonic
from typing import Any

from fdabench.catalogue.load import packed
from fdabench.errors import TaskError
from fdabench.results.store import Record
from fdabench.run.away import Began, Desk, Errand, Left, Message, Noted, Parcel, Went, run_parcels
from fdabench.run.cluster import check_fits, joined, need_of, nodes
from fdabench.run.custody import parcel_of, write_begun, write_left, write_lost
from fdabench.run.events import Ended, Event, Moved, Remarked, Started, Tick
from fdabench.run.executor import Executor
from fdabench.run.lease import BEAT_S, Lease
from fdabench.run.order import grouped
from fdabench.run.plan import SETTLED, attempts, standings
from fdabench.run.pool import AGAIN_S, TICK_S, Place
from fdabench.suite.cell import Cell

try:
    import ray
    from ray.exceptions import RayError, RayTaskError, TaskCancelledError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError:
    pass  # `joined` says so, to whoever asks for it

MOST_TRIES = 3
"""A cell whose node or process dies is begun again, so often in one run."""


@contextmanager
def on_ray(address: str | None, jobs: int | None) -> Iterator[Executor]:
    """A cluster to run cells on, at most `jobs` at a time, or as many as it has processors for.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """
    with joined(address):
        yield Executor(partial(_run_cells, jobs), partial(check_fits, jobs=jobs))


def _on_node(errand: Errand, parcels: Sequence[Parcel], data: Mapping[str, Any], desk: Any) -> list[Left]:
    return run_parcels(errand, parcels, data, desk.tell.remote, lambda: bool(ray.get(desk.stop_asked.remote())))


def _run_cells(
    jobs: int | None,
    cells: Sequence[Cell],
    place: Place,
    stop_asked: Callable[[], bool],
    begun: Mapping[str, int] | None,
) -> Generator[Event]:
    """As `run.pool.run_cells`, but a cell whose node dies is begun again elsewhere; each time is an attempt.

    Raises:
        TaskError: the nodes cannot run cells.
        ResultError: the results folder cannot be written.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk = ray.remote(Desk).options(num_cpus=0, scheduling_strategy=here).remote()
    data = {name: ray.put(asdict(each)) for name, each in place.data.items()}
    known = attempts(cells, place.store) if begun is None else begun
    groups = deque(grouped(cells, place.together, place.catalogue))
    driver = _Driver(place, jobs, desk, data, groups, stop_asked, known)
    try:
        yield from driver.events()
    except GeneratorExit:
        if not (driver.stopping or stop_asked()):
            driver.stop_asked = lambda: True
            deque(driver.events(), maxlen=0)
        raise
    finally:
        driver.leave()
        ray.kill(desk)


@dataclass
class _Task:
    cells: dict[str, Cell]
    leases: list[Lease]
    began: set[str] = field(default_factory=set)


@dataclass
class _Driver:
    """What is under way on the cluster, and what waits for it."""

    place: Place
    jobs: int | None
    desk: Any
    data: Mapping[str, Any]
    """References to the fields of each data set."""
    waiting: deque[list[Cell]]
    stop_asked: Callable[[], bool]
    begun: Mapping[str, int]
    elsewhere: deque[tuple[float, Cell]] = field(default_factory=deque)
    tasks: dict[Any, _Task] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    stopping: bool = False
    told: bool = False
    beaten_at: float = field(default_factory=monotonic)

    def events(self) -> Iterator[Event]:
        """Until every cell has ended or, when asked to stop, until no cell is under way."""
        while self.waiting or self.elsewhere or self.tasks:
            if not self.stopping and self.stop_asked():
                self._stop()
            while self.elsewhere and self.elsewhere[0][0] <= monotonic():
                self.waiting.append([self.elsewhere.popleft()[1]])
            yield from self._give()
            if not self.tasks:
                time.sleep(TICK_S)
            ended = ray.wait(list(self.tasks), timeout=TICK_S)[0] if self.tasks else []
            heard = ray.get(self.desk.heard.remote())
            for message in heard:
                yield from self._hear(message)
            for task in ended:
                yield from self._end(task)
            if not heard and not ended:
                yield Tick()
            self._beat()

    def leave(self) -> None:
        for ref, task in self.tasks.items():
            ray.cancel(ref, force=True)
            _give_back(task)
        self.tasks.clear()

    def _stop(self) -> None:
        self.stopping = True
        self.waiting.clear()
        self.elsewhere.clear()
        self.desk.stop.remote()
        for ref, task in self.tasks.items():
            if not task.began:
                ray.cancel(ref)

    def _give(self) -> Iterator[Event]:
        while self.waiting and len(self.tasks) < (self.jobs or self._room()):
            task = _Task({}, [])
            for cell in self.waiting.popleft():
                yield from self._take(cell, task)
            if task.cells:
                self.tasks[self._sent(task)] = task

    def _room(self) -> int:
        """Tasks that the cluster has the processors for; more would only wait there, and hold their cells."""
        return max(1, sum(int(node.get("CPU", 0) // self.place.threads) for node in nodes()))

    def _take(self, cell: Cell, task: _Task) -> Iterator[Event]:
        """Into the task, unless another run is at it or has done it."""
        store, lease = self.place.store, Lease(self.place.store, cell.id)
        if not lease.take():
            if not self.told:
                yield Remarked(cell, "another run is at it; this one goes on with the rest, and waits")
            self.told = True
            self.elsewhere.append((monotonic() + AGAIN_S, cell))
            return
        record = store.read_record(cell.id)
        done_since = record is not None and record["attempts"] > self.begun.get(cell.id, 0) + self.tries[cell.id]
        if record is not None and done_since and standings([cell], store, self.place.catalogue)[0].status in SETTLED:
            lease.give_back()
            yield Ended(cell, record)
            return
        task.cells[cell.id] = cell
        task.leases.append(lease)

    def _sent(self, task: _Task) -> Any:
        cells, place = list(task.cells.values()), self.place
        need = need_of(cells, place, self.jobs)
        if not any(need.fits(node) for node in nodes()):
            _give_back(task)
            raise TaskError(f"no node that is left is big enough: {cells[0].title} needs {need}")
        options = {"num_cpus": need.cpus, "num_gpus": need.gpus, "memory": need.memory, "max_retries": 0}
        errand = Errand(place.device.type, place.engine, place.threads, place.checkpoint_s, packed(place.catalogue))
        parcels = [parcel_of(cell, place) for cell in cells]
        data = self.data[cells[0].config["dataset"]]
        return ray.remote(_on_node).options(**options).remote(errand, parcels, data, self.desk)

    def _hear(self, message: Message) -> Iterator[Event]:
        """What comes after a task has ended is old."""
        for task in self.tasks.values():
            if (cell := task.cells.get(message.cell_id)) is not None:
                match message:
                    case Began():
                        task.began.add(cell.id)
                        write_begun(cell, self.place)
                        yield Started(cell)
                    case Went(_, progress):
                        yield Moved(cell, progress)
                    case Noted(_, text):
                        yield Remarked(cell, text)

    def _end(self, ref: Any) -> Iterator[Event]:
        task = self.tasks.pop(ref)
        try:
            for left in ray.get(ref):
                cell = task.cells[left.record["id"]]
                write_left(left, self.place.store)
                yield from self._ended(cell, left.record)
        except TaskCancelledError:
            return
        except RayTaskError as error:
            cause = getattr(error, "cause", error)
            told = str(cause).strip().splitlines()[-1:] or [type(cause).__name__]
            raise TaskError(f"a node cannot run cells, for which it needs fdabench: {told[0]:.300}") from error
        except RayError as error:
            yield from self._lost(task, error)
        finally:
            _give_back(task)

    def _ended(self, cell: Cell, record: Record) -> Iterator[Event]:
        if record["state"] == "interrupted" and not self.stopping:
            # somebody stopped its process, and not the run
            self.waiting.append([cell])
        else:
            yield Ended(cell, record)

    def _lost(self, task: _Task, error: Exception) -> Iterator[Event]:
        """Its node or its process died. Of several that shared a matrix nobody knows which it was: each by itself."""
        cause = str(error).strip().splitlines()[0]
        for cell in task.cells.values():
            self.tries[cell.id] += 1
            if self.tries[cell.id] < MOST_TRIES and not self.stopping:
                yield Remarked(cell, "its node or its process died; it is begun again")
                self.waiting.append([cell])
            elif cell.id not in task.began and not self.stopping:
                raise TaskError(f"the processes that run cells die before they begin: {cause:.300}")
            elif (record := write_lost(cell.id, self.place.store, cause)) is not None:
                yield Ended(cell, record)

    def _beat(self) -> None:
        if monotonic() - self.beaten_at > BEAT_S:
            self.beaten_at = monotonic()
            for task in self.tasks.values():
                for lease in task.leases:
                    lease.beat()


def _give_back(task: _Task) -> None:
    while task.leases:
        task.leases.pop().give_back()
