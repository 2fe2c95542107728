"""`fdabench report`: tables, figures, summary."""

from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import say
from fdabench.report.build import build_report
from fdabench.results.load import load, write_derived


def write_report(roots: Sequence[Path], out: Path | None) -> None:
    """Read the results, bring their derived tables up to date, and write the report."""
    results = [load(root) for root in roots]
    for result in results:
        write_derived(result)
    folder = out or Path("reports") / results[0].lock["suite"]
    written = build_report(results, folder)
    say(f"{len(written)} files in {folder.as_posix()}; begin with {(folder / 'summary.md').as_posix()}")
