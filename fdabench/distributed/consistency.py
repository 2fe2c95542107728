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
    group: ProcessGroup

    def __call__(self, what: str) -> None:
        """Compare what the ranks are about to do.

        Raises:
            RankDivergenceError: they differ. Raised in every rank; names what each is about to do.
        """
        descriptions = self.group.all_gather(f"step {self.ledger.step}: {what}")
        if len(set(descriptions)) > 1:
            raise RankDivergenceError(
                f"the strategy {self.strategy!r} takes different branches in the ranks: "
                f"{_describe_difference(descriptions)}. A strategy "
                "may branch only on t, on the round, and on values that the channel returned"
            )


def make_consistency_check(strategy: str, ledger: Ledger, group: ProcessGroup) -> Callable[[str], None]:
    """The function that a channel calls before each collective."""
    return CollectiveOrderCheck(strategy, ledger, group) if group.check_consistency else no_announcement


def _describe_difference(descriptions: list[str]) -> str:
    """`rank 0, 1: step 3: averages ...; rank 2: step 3: ends it`."""
    by_description = groupby(
        sorted(range(len(descriptions)), key=lambda rank: (descriptions[rank], rank)),
        key=lambda rank: descriptions[rank],
    )
    return "; ".join(f"rank {', '.join(map(str, ranks))}: {description}" for description, ranks in by_description)
