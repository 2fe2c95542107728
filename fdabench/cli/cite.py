"""`fdabench cite`: BibTeX of what a suite uses."""

from pathlib import Path

from fdabench.cli.console import say
from fdabench.suite.citations import citations
from fdabench.suite.reader import read_suite


def print_citations(path: Path) -> None:
    suite = read_suite(path)
    say("\n\n".join(citations(suite.cells, suite.catalogue)))
