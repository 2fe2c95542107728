"""Checks that all ranks do the same: a strategy that takes another branch in one rank would wait forever."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from fdabench.core.channel import no_announcement
from fdabench.core.ledger import Ledger
from fdabench.distributed.process_group import ProcessGroup
from fdabench.errors import RankDivergenceError


@dataclass(frozen=True)
class CollectiveOrderCheck:
    """Compares what each rank is about to do, before it does it. Costs a round trip for each collective."""

    strategy: str
    ledger: Ledger
    team: ProcessGroup

    def __call__(self, what: str) -> None:
        """Compare what the ranks are about to do.

        Raises:
            RankDivergenceError: they differ. Raised in every rank; names what each is about to do.
        """
        said = self.team.all_gather(f"step {self.ledger.step}: {what}")
        if len(set(said)) > 1:
            raise RankDivergenceError(
                f"the strategy {self.strategy!r} does not do the same in every process: "
                f"{_describe_difference(said)}. It may "
                "branch on t, on the round, and on what came out of the channel; on nothing else"
            )


def make_consistency_check(strategy: str, ledger: Ledger, team: ProcessGroup) -> Callable[[str], None]:
    """The function that a channel calls before each collective."""
    return CollectiveOrderCheck(strategy, ledger, team) if team.check_consistency else no_announcement


def _describe_difference(said: list[str]) -> str:
    """`rank 0, 1: step 3: averages ...; rank 2: step 3: ends it`."""
    by_words = groupby(sorted(range(len(said)), key=lambda rank: (said[rank], rank)), key=lambda rank: said[rank])
    return "; ".join(f"rank {', '.join(map(str, ranks))}: {words}" for words, ranks in by_words)
