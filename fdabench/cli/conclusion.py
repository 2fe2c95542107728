"""The conclusion of results, as `run` prints it at its end and `show` from results alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from fdabench.analysis.data import combine_results
from fdabench.cli.console import AS_TABLE, print_result, print_table
from fdabench.report.summary import closing_summary
from fdabench.report.tables.conclusion import conclusion_table
from fdabench.results.load import Results


def print_conclusion(results: Sequence[Results], form: str) -> None:
    """
    Args:
        results: one folder or several; each says its own.
        form: one of `options.Format`.
    """
    if form in AS_TABLE:
        print_table(conclusion_table(combine_results(results)), form)
    else:
        print_result("\n\n".join(closing_summary(result) for result in results))


@contextmanager
def concluding(form: str) -> Iterator[Callable[[Results], None]]:
    """Takes the results of each suite of a run. Text is printed at once; a table of all at the end, also after a stop.

    Args:
        form: one of `options.Format`.
    """
    if form not in AS_TABLE:
        yield lambda results: print_conclusion([results], form)
        return
    found: list[Results] = []
    try:
        yield found.append
    finally:
        if found:
            print_conclusion(found, form)
