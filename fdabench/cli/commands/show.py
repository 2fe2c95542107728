"""`fdabench show`: what results conclude, or one cell of them; from the folder alone."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from fdabench.cli.cell_page import print_page
from fdabench.cli.cell_record import cell_record
from fdabench.cli.cell_results import read_cell_results
from fdabench.cli.conclusion import print_conclusion
from fdabench.cli.console import print_data, print_note, print_table
from fdabench.cli.evaluations import evaluations_table
from fdabench.errors import ResultError, UsageError, did_you_mean
from fdabench.formatting import truncate_list
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.results.load import load
from fdabench.suite.cell import Cell
from fdabench.suite.selection import parse_expression, selection_text

LEAST_LETTERS = 4
"""Of the beginning of an id; a shorter text is a word."""
MOST_LISTED = 20


def show(arguments: Sequence[str], form: str) -> None:
    """The conclusion of one results folder or several; with words after a folder, one of its cells.

    Args:
        arguments: results folders, then an id, the beginning of one, or words of a cell's title.
        form: one of `options.Format`; `csv` and `markdown` of a cell are its evaluations.

    Raises:
        ResultError: no results there, or no cell or several match.
        UsageError: a cell is asked of several folders, or the words cannot be read.
    """
    folders, words = _split_words(arguments)
    if not words:
        results = [load(folder) for folder in folders]
        with corruption_as_result_error(Path(", ".join(folder.as_posix() for folder in folders))):
            print_conclusion(results, form)
        if form in ("auto", "rich", "plain"):
            _hint(folders[0])
    elif len(folders) > 1:
        said = " ".join(words)
        raise UsageError(f"show: {said!r}: a cell is shown from one results folder; {len(folders)} are given")
    else:
        with corruption_as_result_error(folders[0]):
            _show_cell(ResultsFolder(folders[0]), words, form)


def _split_words(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The folders in front, of which the first need not exist, and the words behind."""
    count = 1
    while count < len(arguments) and ResultsFolder(Path(arguments[count])).lock_path.is_file():
        count += 1
    return [Path(argument) for argument in arguments[:count]], list(arguments[count:])


def _hint(folder: Path) -> None:
    """How one of the cells is shown, as a command that can be pasted."""
    with corruption_as_result_error(folder):
        for locked in ResultsFolder(folder).read_lock().cell[:1]:
            words = Cell.from_lock(locked).title.replace("|", " ").split()
            print_note(f"one cell: {shlex.join(['fdabench', 'show', folder.as_posix(), *words])}")


def _show_cell(store: ResultsFolder, words: Sequence[str], form: str) -> None:
    lock = store.read_lock()
    cells = {locked.id: Cell.from_lock(locked) for locked in lock.cell}
    found = read_cell_results(store, lock, _find(cells, words, store.root))
    if form == "json":
        print_data(cell_record(found))
    elif form in ("csv", "markdown"):
        print_table(evaluations_table(found), form)
    else:
        print_page(found)


def _find(cells: dict[str, Cell], words: Sequence[str], root: Path) -> str:
    """The id of the one cell that is meant."""
    if len(words) == 1 and len(words[0]) >= LEAST_LETTERS:
        begun = [cell_id for cell_id in cells if cell_id.startswith(words[0])]
        if len(begun) == 1:
            return begun[0]
    said = " ".join(words)
    found = parse_expression(list(cells.values()), said)
    if not found:
        strange = [
            word for word in said.split() if not any(word.casefold() in selection_text(cell) for cell in cells.values())
        ]
        known = {word for cell in cells.values() for word in cell.title.split()} | set(cells)
        raise ResultError(f"{root}: no cell has all of {said!r}{did_you_mean(strange[0], known) if strange else ''}")
    if len(found) > 1:
        lines = [f"  {cell.id}  {cell.title}" for cell in found]
        listed = "\n".join(truncate_list(lines, MOST_LISTED, "  and {} more"))
        raise ResultError(f"{root}: {len(found)} cells have all of {said!r}; give more words, or an id:\n{listed}")
    return found[0].id
