"""A cell between two local steps, and who keeps it; where its workers are in several processes, put together and shared
out again."""

from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple, Protocol

from fdabench.core.ledger import Entry
from fdabench.engine.loop import Stand
from fdabench.engine.team import Team
from fdabench.engine.workers import CrewState

APART_S = 0.25
"""Between two times that the processes of a team agree on what to do."""


class Snapshot(NamedTuple):
    """All that is needed to go on from there."""

    stand: Stand
    entries: list[Entry]
    """Of the ledger."""
    notes: dict[str, Any]
    """The recorder's."""


class Keeper(Protocol):
    """Who keeps snapshots of a cell under way, now and then."""

    def due(self) -> bool: ...

    def save(self, snapshot: Snapshot) -> None: ...

    def give_up(self, error: Exception) -> None:
        """Told why there is no snapshot that could be kept."""
        ...


class KeepsNothing:
    """Nobody does."""

    def due(self) -> bool:
        return False

    def save(self, snapshot: Snapshot) -> None:
        pass

    def give_up(self, error: Exception) -> None:
        pass


NOBODY = KeepsNothing()


def whole(stand: Stand, team: Team) -> Stand | None:
    """With the workers of all processes, in rank 0; None elsewhere."""
    parts = team.gathered(stand.crew)
    return stand._replace(crew=CrewState.joined(parts)) if parts else None


def part(snapshot: Snapshot, team: Team) -> Snapshot:
    """With the workers that this process holds."""
    crew = snapshot.stand.crew
    return snapshot._replace(stand=snapshot.stand._replace(crew=crew.part(team.held(len(crew.positions)))))


class Wishes:
    """Whether to stop and whether to keep a snapshot. One process asks whenever it wants to know."""

    def __init__(self, stop_asked: Callable[[], bool], due: Callable[[], bool]) -> None:
        self.stop, self.keep = stop_asked, due


class SharedWishes:
    """What rank 0 wants, and at the same step in every process: `stop` is asked once in a step, and `keep` after it.

    The processes speak about it a few times a second and not at every step, which may be short.
    """

    def __init__(self, wishes: Wishes, team: Team) -> None:
        self._wishes, self._team = wishes, team
        self._left, self._apart, self._spoken, self._keep = 1, 1, monotonic(), False

    def stop(self) -> bool:
        self._left -= 1
        if self._left:
            return False
        stop, self._keep, self._left = self._team.told(self._wished)
        return stop

    def keep(self) -> bool:
        keep, self._keep = self._keep, False
        return keep

    def _wished(self) -> tuple[bool, bool, int]:
        a_step, self._spoken = (monotonic() - self._spoken) / self._apart, monotonic()
        self._apart = min(max(int(APART_S / max(a_step, 1e-6)), 1), 2 * self._apart)
        return self._wishes.stop(), self._wishes.keep(), self._apart
