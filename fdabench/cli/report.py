"""`fdabench report`: one page, and beside it its tables, figures and summary."""

from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import remark, say
from fdabench.errors import ResultError
from fdabench.report.build import build_report
from fdabench.results.load import load, write_derived
from fdabench.suite.citations import citations


def write_report(roots: Sequence[Path], out: Path | None) -> None:
    """Read the results, bring their derived tables up to date, and write the report."""
    results = [load(root) for root in roots]
    for result in results:
        try:
            write_derived(result)
        except ResultError as error:
            # results that were archived can be reported; their derived tables are not read
            remark(f"note: {error}")
    folder = out or Path("reports") / results[0].lock["suite"]
    cited = citations(cell["config"] for result in results for cell in result.lock["cell"])
    written = build_report(results, folder, cited)
    say(f"{len(written)} files in {folder.as_posix()}; begin with {(folder / 'index.html').as_posix()}")
