"""The interface of backends, which run the cells of a suite: processes of this machine, or a Ray cluster."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import NamedTuple, Protocol

from fdabench.execution.events import Event
from fdabench.execution.local_backend import RunContext, run_cells
from fdabench.suite.cell import Cell


class RunCells(Protocol):
    """The type of functions such as `execution.local_backend.run_cells`."""

    def __call__(
        self,
        cells: Sequence[Cell],
        context: RunContext,
        should_stop: Callable[[], bool],
        previous_attempts: Mapping[str, int] | None,
    ) -> Generator[Event]: ...


def _no_check(cells: Sequence[Cell], context: RunContext) -> None:
    pass


class Backend(NamedTuple):
    """A backend. `check` is called before anything is written, and raises UsageError if the cells cannot be run."""

    run_cells: RunCells
    check: Callable[[Sequence[Cell], RunContext], None]


LOCAL_BACKEND = Backend(run_cells, _no_check)
