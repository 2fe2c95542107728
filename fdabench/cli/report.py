"""`fdabench report`: one page, and beside it its tables, figures and summary."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fdabench.cli.console import remark, say
from fdabench.errors import ResultError
from fdabench.report.build import build_report
from fdabench.results.load import Results, load, write_derived


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
    written = build_report(results, folder, cited(results))
    say(f"{len(written)} files in {folder.as_posix()}; begin with {(folder / 'index.html').as_posix()}")


def cited(results: Iterable[Results]) -> list[str]:
    """BibTeX of what the results rest on; methods that are not built in are left out, not the rest of their cells."""
    # whoever cites the methods has to load them, and torch with them
    from fdabench.suite.citations import known_citations

    return known_citations(cell["config"] for result in results for cell in result.lock["cell"])
