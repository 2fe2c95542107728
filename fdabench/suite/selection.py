"""Selects cells by an expression, `-k "FDA and not (naive or s1)"`, and parses ranges of seeds, `--seeds 0..4`.

An expression consists of words joined by `and`, `or`, `not` and parentheses. A word matches a cell if the cell's
title, id or kind of strategy contains it, in upper or lower case.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from fdabench.errors import ResultError, UsageError, did_you_mean
from fdabench.formatting import truncate_list
from fdabench.suite.cell import Cell

MAX_TERMS = 200
LEAST_LETTERS = 4
"""A text with at least this many letters may be the beginning of an id. A shorter one is a word of the title."""
MOST_LISTED = 20
"""Cells that the message lists if several match."""

_OPERATORS = {"and", "or", "not"}
_TOKENS = re.compile(r"(?!(?:and|or|not)\()[^\s()]+\([^\s(),]+(?:, [^\s(),]+)*\)|[()]|[^\s()]+")
"""Matches words and single parentheses. A name such as `dirichlet(0.1, per-worker)` is one word."""

Test = Callable[[str], bool]


def select(cells: Sequence[Cell], expression: str) -> list[Cell]:
    """Return the cells that match an expression.

    Args:
        cells: to select from.
        expression: the argument of `-k`.

    Raises:
        UsageError: the expression has a syntax error, or no cell matches.
    """
    test = _parse(expression)
    selected = [cell for cell in cells if test(selection_text(cell))]
    if not selected:
        words = {word for cell in cells for word in re.findall(r"[^\s|]+", cell.title)}
        raise UsageError(f"-k {expression!r} chooses none of {len(cells)} cells{did_you_mean(expression, words)}")
    return selected


def parse_expression(cells: Sequence[Cell], words: str) -> list[Cell]:
    """Return the cells that contain all of the given words.

    If some cells contain all of them as whole words, only those cells are returned: `s1` then does not match `s10`.
    Text that contains `and`, `or` or `not` is an expression as in `select`.

    Args:
        cells: to select from.
        words: separated by blanks.

    Returns:
        The cells that match, possibly none.

    Raises:
        UsageError: the expression has a syntax error.
    """
    plain = words.casefold().split()
    if not plain or _OPERATORS & set(plain):
        test = _parse(words)
        return [cell for cell in cells if test(selection_text(cell))]
    matches = [cell for cell in cells if all(word in selection_text(cell) for word in plain)]
    whole_word = [cell for cell in matches if set(plain) <= set(selection_text(cell).split())]
    return whole_word or matches


def find_cell(cells: Mapping[str, Cell], words: Sequence[str], place: str) -> str:
    """Return the id of the cell that the words select.

    Args:
        cells: to select from, by the id in the lock, which names their folder. Another version of fdabench may have
            computed it.
        words: the id of a cell, the beginning of its id, or words of its title.
        place: the results folder, for messages.

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
        vocabulary = {word for cell in cells.values() for word in cell.title.split()} | set(cells)
        raise ResultError(f"{place}: no cell matches {text!r}{did_you_mean(unknown[0], vocabulary) if unknown else ''}")
    if len(selected) > 1:
        lines = [f"  {cell.id}  {cell.title}" for cell in selected]
        listing = "\n".join(truncate_list(lines, MOST_LISTED, "  and {} more"))
        raise ResultError(f"{place}: {len(selected)} cells match {text!r}; give more words, or an id:\n{listing}")
    return next(cell_id for cell_id, cell in cells.items() if cell is selected[0])


def selection_text(cell: Cell) -> str:
    """The text in which the words of an expression are searched for, in lower case."""
    return f"{cell.title} {cell.id} {cell.config.strategy.kind}".casefold()


def parse_seeds(text: str) -> list[int]:
    """Parse the argument of `--seeds`: a range that includes both ends, or a list.

    >>> parse_seeds("0..4")
    [0, 1, 2, 3, 4]
    >>> parse_seeds("0,2,7")
    [0, 2, 7]

    Raises:
        UsageError: the text has neither form, or the range has more than 10 000 seeds.
    """
    if match := re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", text):
        first, last = int(match[1]), int(match[2])
        if first <= last <= first + 9999:
            return list(range(first, last + 1))
    elif re.fullmatch(r"\d{1,9}(,\d{1,9})*", text):
        return [int(part) for part in text.split(",")]
    raise UsageError(f"--seeds {text}: expected a range as 0..4, or a list as 0,2,7")


def _parse(expression: str) -> Test:
    """Compile an expression to a function of the text of a cell, by recursive descent.

    `_any` parses operands of `or`, `_all` operands of `and`, `_parse_term` a word, `not` or a group in parentheses.
    Each returns its function and the tokens that remain.
    """
    tokens = _TOKENS.findall(expression)
    if len(tokens) > MAX_TERMS:
        raise UsageError(f"-k: {len(tokens)} words; at most {MAX_TERMS} are allowed")
    test, rest = _any(tokens, expression)
    if rest:
        raise UsageError(f"-k {expression!r}: cannot be read at {rest[0]!r}")
    return test


def _any(tokens: list[str], expression: str) -> tuple[Test, list[str]]:
    left, rest = _all(tokens, expression)
    if rest[:1] != ["or"]:
        return left, rest
    right, rest = _any(rest[1:], expression)
    return (lambda text: left(text) or right(text)), rest


def _all(tokens: list[str], expression: str) -> tuple[Test, list[str]]:
    left, rest = _parse_term(tokens, expression)
    if rest[:1] != ["and"]:
        return left, rest
    right, rest = _all(rest[1:], expression)
    return (lambda text: left(text) and right(text)), rest


def _parse_term(tokens: list[str], source: str) -> tuple[Test, list[str]]:
    if not tokens or tokens[0] in ("and", "or", ")"):
        raise UsageError(f"-k {source!r}: a word is missing {'at the end' if not tokens else f'before {tokens[0]!r}'}")
    if tokens[0] == "not":
        test, rest = _parse_term(tokens[1:], source)
        return (lambda text: not test(text)), rest
    if tokens[0] == "(":
        test, rest = _any(tokens[1:], source)
        if rest[:1] != [")"]:
            raise UsageError(f"-k {source!r}: a closing parenthesis is missing")
        return test, rest[1:]
    word = tokens[0].casefold()
    return (lambda text: word in text), tokens[1:]
