"""`fdabench report`: one page, and beside it its tables, figures and summary."""

from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import print_note, print_result
from fdabench.errors import ResultError, UsageError
from fdabench.experiment.git import is_tracked
from fdabench.report.build import build_report
from fdabench.results.load import load, write_derived
from fdabench.suite.citations import locked_citations


def write_report(roots: Sequence[Path], out: Path | None) -> None:
    """Read the results, bring their derived tables up to date, and write the report."""
    results = [load(root) for root in roots]
    for result in results:
        try:
            write_derived(result)
        except ResultError as error:
            # results that were archived can be reported; their derived tables are not read
            print_note(f"note: {error}")
    folder = out or _default_folder(roots[0], results[0].lock.suite)
    cited = locked_citations(result.lock for result in results)
    written = build_report(results, folder, cited)
    print_result(f"{len(written)} files in {folder.as_posix()}; begin with {(folder / 'index.html').as_posix()}")


def _default_folder(root: Path, suite: str) -> Path:
    """`reports/<suite>`; where git tracks files there, `report` beside the results, which is said.

    Raises:
        UsageError: git tracks files in both.
    """
    usual, beside = Path("reports") / suite, root / "report"
    if not is_tracked(usual):
        return usual
    if is_tracked(beside):
        both = f"{usual.as_posix()} and {beside.as_posix()}"
        raise UsageError(f"{both} are tracked by git: say where to write, as in -o {usual.as_posix()}")
    print_note(
        f"note: {usual.as_posix()} is tracked by git: written to {beside.as_posix()}; "
        f"-o {usual.as_posix()} writes there"
    )
    return beside
