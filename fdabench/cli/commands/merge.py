"""`fdabench merge`: joins the results folders of a suite's shards, or of runs with other seeds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import print_result
from fdabench.errors import UsageError
from fdabench.formatting import plural
from fdabench.results.cell_record import FAILURE_STATES, PENDING_STATES, SUCCESS_STATES
from fdabench.results.merge import merge


def merge_results(roots: Sequence[Path], out: Path | None) -> None:
    """Write the results of several folders to a new folder and print how many cells have which state.

    Args:
        roots: at least two results folders of the same suite.
        out: the new folder.

    Raises:
        UsageError: fewer than two folders are given, or `out` is None.
        ResultError: the folders cannot be merged.
    """
    if len(roots) < 2:
        raise UsageError(
            f"merge: {plural(len(roots), 'results folder')} given; give two or more, such as: fdabench merge A B -o C"
        )
    if out is None:
        raise UsageError("merge: no new folder is given; give one, such as: fdabench merge A B -o C")
    merged = merge(roots, out)
    counts = Counter(merged.runs["state"])
    states = [
        f"{counts[state]} {state}" for state in (*SUCCESS_STATES, *FAILURE_STATES, *PENDING_STATES) if counts[state]
    ]
    print_result(
        f"{out.as_posix()}: {len(merged.runs)} cells of {merged.lock.suite} from {len(roots)} folders: "
        f"{', '.join(states)}"
    )
