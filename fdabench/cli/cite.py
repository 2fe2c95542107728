"""`fdabench cite`: BibTeX of what a suite uses."""

from pathlib import Path

from fdabench.cli.console import say
from fdabench.suite.citations import citations
from fdabench.suite.reader import read_suite


def print_citations(path: Path) -> None:
    say("\n\n".join(citations(cell.config for cell in read_suite(path).cells)))
