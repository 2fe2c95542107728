"""`fdabench cite`: prints BibTeX entries for the components that a suite uses."""

from pathlib import Path

from fdabench.cli.console import print_result
from fdabench.suite.components.citations import citations
from fdabench.suite.components.use import distinct_components
from fdabench.suite.reader import read_suite


def print_citations(path: Path) -> None:
    """Print the references of all strategies, models and other components in the cells of a suite.

    Raises:
        SuiteError: the suite is wrong.
    """
    suite = read_suite(path)
    used = distinct_components(suite.cells, suite.registry)
    print_result("\n\n".join(citations(suite.registry.info(role, name) for role, name in used)))
