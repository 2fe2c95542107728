"""`fdabench show`: prints the conclusion of results, or the page of one cell, from results folders alone."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.cell_page import cell_record, evaluations_table, print_page
from fdabench.cli.cell_results import read_cell_results
from fdabench.cli.conclusion import print_conclusion
from fdabench.cli.console import print_data, print_note, print_table
from fdabench.errors import ResultError, UsageError, did_you_mean
from fdabench.formatting import truncate_list
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.results.load import load
from fdabench.suite.cell import Cell
from fdabench.suite.selection import parse_expression, selection_text

LEAST_LETTERS = 4
"""A text with at least this many letters may be the beginning of an id. A shorter one is a word of the title."""
MOST_LISTED = 20
"""Cells that the message lists if several match."""


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
            _print_hint(folders[0])
    elif len(folders) > 1:
        text = " ".join(words)
        raise UsageError(
            f"show: {text!r}: a cell is read from one results folder, and {len(folders)} are given; give one"
        )
    else:
        with corruption_as_result_error(folders[0]):
            _show_cell(ResultsFolder(folders[0]), words, form)


def _split_words(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the folders and the words after them. The first argument is a folder even if it does not exist."""
    count = 1
    while count < len(arguments) and ResultsFolder(Path(arguments[count])).lock_path.is_file():
        count += 1
    return [Path(argument) for argument in arguments[:count]], list(arguments[count:])


def _print_hint(folder: Path) -> None:
    """Print the command that shows the first cell, ready to paste."""
    with corruption_as_result_error(folder):
        for locked in ResultsFolder(folder).read_lock().cell[:1]:
            words = Cell.from_lock(locked).title.replace("|", " ").split()
            print_note(f"to show one cell: {shlex.join(['fdabench', 'show', folder.as_posix(), *words])}")


def _show_cell(store: ResultsFolder, words: Sequence[str], form: str) -> None:
    lock = store.read_lock()
    cells = {locked.id: Cell.from_lock(locked) for locked in lock.cell}
    results = read_cell_results(store, lock, _find_cell(cells, words, store.root))
    if form == "json":
        print_data(cell_record(results))
    elif form in ("csv", "markdown"):
        print_table(evaluations_table(results), form)
    else:
        print_page(results)


def _find_cell(cells: dict[str, Cell], words: Sequence[str], root: Path) -> str:
    """Return the id of the cell that the words select.

    Raises:
        ResultError: no cell matches, or several do.
        UsageError: the words cannot be parsed.
    """
    if len(words) == 1 and len(words[0]) >= LEAST_LETTERS:
        matches = [cell_id for cell_id in cells if cell_id.startswith(words[0])]
        if len(matches) == 1:
            return matches[0]
    text = " ".join(words)
    selected = parse_expression(list(cells.values()), text)
    if not selected:
        unknown = [
            word for word in text.split() if not any(word.casefold() in selection_text(cell) for cell in cells.values())
        ]
        known = {word for cell in cells.values() for word in cell.title.split()} | set(cells)
        raise ResultError(f"{root}: no cell matches {text!r}{did_you_mean(unknown[0], known) if unknown else ''}")
    if len(selected) > 1:
        lines = [f"  {cell.id}  {cell.title}" for cell in selected]
        listed = "\n".join(truncate_list(lines, MOST_LISTED, "  and {} more"))
        raise ResultError(f"{root}: {len(selected)} cells match {text!r}; give more words, or an id:\n{listed}")
    return selected[0].id
