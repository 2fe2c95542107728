"""`fdabench report`: writes a report, which is an HTML page with its tables, figures and a summary."""

from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import print_note, print_result
from fdabench.errors import ResultError, UsageError
from fdabench.experiment.git import is_tracked
from fdabench.report.build import build_report
from fdabench.results.archive import is_archive
from fdabench.results.load import load, write_derived
from fdabench.suite.components.citations import locked_citations
from fdabench.validation.fleet_file import named_fleets


def write_report(roots: Sequence[Path], out: Path | None, fleets: Sequence[str] = ()) -> None:
    """Load results, update their derived tables and write the report.

    Args:
        roots: results folders.
        out: the folder of the report, or None for `reports/<suite>`.
        fleets: the values of `--fleet`.

    Raises:
        ResultError: results cannot be read, or the report cannot be written.
        UsageError: `out` is not given, and git tracks files in both default folders; or a fleet is unknown or invalid.
    """
    machines = named_fleets(fleets)
    results = [load(root) for root in roots]
    for result in results:
        if is_archive(result.root):
            continue
        try:
            write_derived(result)
        except ResultError as error:
            # results in a read-only folder can be reported: the report does not read their derived tables
            print_note(f"note: {error}")
    folder = out or _default_folder(roots[0], results[0].lock.suite)
    references = locked_citations(result.lock for result in results)
    paths = build_report(results, folder, references, machines)
    print_result(f"{len(paths)} files in {folder.as_posix()}; open {(folder / 'index.html').as_posix()}")


def _default_folder(root: Path, suite: str) -> Path:
    """Return `reports/<suite>`. If git tracks files there, return `report` in the results folder and print a note.

    Raises:
        UsageError: git tracks files in both folders.
    """
    default, fallback = Path("reports") / suite, root / "report"
    if not is_tracked(default):
        return default
    if is_archive(root):
        raise UsageError(f"{default.as_posix()} is tracked by git; give the folder of the report with -o")
    if is_tracked(fallback):
        folders = f"{default.as_posix()} and {fallback.as_posix()}"
        raise UsageError(
            f"{folders} are tracked by git; give the folder of the report, for example -o {default.as_posix()}"
        )
    print_note(
        f"note: {default.as_posix()} is tracked by git; the report is written to {fallback.as_posix()}. "
        f"-o {default.as_posix()} writes it there"
    )
    return fallback
