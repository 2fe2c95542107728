"""`fdabench merge`: joins the results folders of a suite's shards, or of runs with other seeds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import print_result
from fdabench.errors import UsageError
from fdabench.formatting import plural
from fdabench.results.archive import is_archive
from fdabench.results.cell_record import FAILURE_STATES, PENDING_STATES, SUCCESS_STATES
from fdabench.results.merge import merge


def merge_results(roots: Sequence[Path], out: Path | None) -> None:
    """Write the results of several folders to a new folder and print how many cells have which state.

    Args:
        roots: at least two results folders or archives of the same suite, or one archive to unpack.
        out: the new folder.

    Raises:
        UsageError: one folder is given, or `out` is None.
        ResultError: the folders cannot be merged.
    """
    if len(roots) < 2 and not is_archive(roots[0]):
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
    sources = roots[0].as_posix() if len(roots) == 1 else f"{len(roots)} folders"
    print_result(
        f"{out.as_posix()}: {len(merged.runs)} cells of {merged.lock.suite} from {sources}: {', '.join(states)}"
    )
