"""`fdabench merge`: the results folders of a suite's shards, or of its runs of other seeds, as one."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import print_result
from fdabench.errors import UsageError
from fdabench.results.cell_record import FAILURE_STATES, PENDING_STATES, SUCCESS_STATES
from fdabench.results.merge import merge


def merge_results(roots: Sequence[Path], out: Path | None) -> None:
    """
    Raises:
        UsageError: nothing to merge, or nowhere to.
    """
    if len(roots) < 2:
        raise UsageError("merge: give two results folders or more, as in: fdabench merge A B -o C")
    if out is None:
        raise UsageError("merge: -o DIR says which new folder they go into")
    merged = merge(roots, out)
    counts = Counter(merged.runs["state"])
    states = [
        f"{counts[state]} {state}" for state in (*SUCCESS_STATES, *FAILURE_STATES, *PENDING_STATES) if counts[state]
    ]
    print_result(
        f"{out.as_posix()}: {len(merged.runs)} cells of {merged.lock.suite} from {len(roots)} folders: "
        f"{', '.join(states)}"
    )
