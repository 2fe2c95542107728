"""`fdabench show`: prints the conclusion of results, or the page of one cell, from results folders alone."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.console import print_data, print_note, print_table
from fdabench.cli.display.cell_page import cell_record, evaluations_table, print_page
from fdabench.cli.display.cell_results import read_cell_results
from fdabench.cli.display.conclusion import print_conclusion
from fdabench.errors import UsageError
from fdabench.results.archive import has_results, opened
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.results.load import Results, load
from fdabench.suite.cell import Cell
from fdabench.suite.selection import find_cell


def show(arguments: Sequence[str], form: str) -> None:
    """Print the conclusion of one results folder or several, or one cell if words follow a folder.

    Args:
        arguments: results folders, then optionally a cell: its id, the beginning of its id, or words of its title.
        form: one of `options.Format`. `csv` and `markdown` print the evaluations of a cell.

    Raises:
        ResultError: there are no results, no cell matches, or several match.
        UsageError: words follow more than one folder, or the words cannot be parsed.
    """
    folders, words = _split_words(arguments)
    if not words:
        results = [load(folder) for folder in folders]
        with corruption_as_result_error(Path(", ".join(folder.as_posix() for folder in folders))):
            print_conclusion(results, form)
        if form in ("auto", "rich", "plain"):
            _print_hint(results[0])
    elif len(folders) > 1:
        text = " ".join(words)
        raise UsageError(
            f"show: {text!r}: a cell is read from one results folder, and {len(folders)} are given; give one"
        )
    else:
        with corruption_as_result_error(folders[0]), opened(folders[0]) as folder:
            _show_cell(ResultsFolder(folder), words, form)


def _split_words(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the folders and the words after them. The first argument is a folder even if it does not exist."""
    count = 1
    while count < len(arguments) and has_results(Path(arguments[count])):
        count += 1
    return [Path(argument) for argument in arguments[:count]], list(arguments[count:])


def _print_hint(results: Results) -> None:
    """Print the command that shows the first cell, ready to paste."""
    with corruption_as_result_error(results.root):
        for locked in results.lock.cell[:1]:
            words = Cell.from_lock(locked).title.replace("|", " ").split()
            print_note(f"to show one cell: {shlex.join(['fdabench', 'show', results.root.as_posix(), *words])}")


def _show_cell(store: ResultsFolder, words: Sequence[str], form: str) -> None:
    lock = store.read_lock()
    cells = {locked.id: Cell.from_lock(locked) for locked in lock.cell}
    results = read_cell_results(store, lock, find_cell(cells, words, store.root.as_posix()))
    if form == "json":
        print_data(cell_record(results))
    elif form in ("csv", "markdown"):
        print_table(evaluations_table(results), form)
    else:
        print_page(results)
