"""Prints the conclusion of results: `run` at its end, `show` from results folders alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from fdabench.analysis.data import combine_results
from fdabench.cli.console import AS_TABLE, print_result, print_table
from fdabench.report.summary import closing_summary
from fdabench.report.tables.conclusion import conclusion_table
from fdabench.results.load import Results


def print_conclusion(results: Sequence[Results], form: str) -> None:
    """Print the conclusion of each results folder, or one table of all of them.

    Args:
        results: one results folder or several.
        form: one of `options.Format`.
    """
    if form in AS_TABLE:
        print_table(conclusion_table(combine_results(results)), form)
    else:
        print_result("\n\n".join(closing_summary(result) for result in results))


@contextmanager
def conclusion_printer(form: str) -> Iterator[Callable[[Results], None]]:
    """Yield a function that takes the results of each suite of a run and prints their conclusion.

    Text is printed at once. A table has the rows of all suites and is printed when the context ends, also after a stop.

    Args:
        form: one of `options.Format`.
    """
    if form not in AS_TABLE:
        yield lambda results: print_conclusion([results], form)
        return
    collected: list[Results] = []
    try:
        yield collected.append
    finally:
        if collected:
            print_conclusion(collected, form)
