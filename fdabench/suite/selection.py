"""Choosing cells: `-k "FDA and not (naive or s1)"`, and `--seeds 0..4`."""

import re
from collections.abc import Callable, Sequence

from fdabench.errors import UsageError, did_you_mean
from fdabench.suite.cell import Cell

MAX_TERMS = 200

_OPERATORS = {"and", "or", "not"}
_TOKENS = re.compile(r"(?!(?:and|or|not)\()[^\s()]+\([^\s(),]+(?:, [^\s(),]+)*\)|[()]|[^\s()]+")
"""Words, and parentheses by themselves; those of a name such as `dirichlet(0.1, per-worker)` belong to the word."""

Test = Callable[[str], bool]


def select(cells: Sequence[Cell], expression: str) -> list[Cell]:
    """The cells whose title or id has the words, which may be joined by and, or, not and parentheses.

    Raises:
        UsageError: the expression cannot be read, or chooses nothing.
    """
    test = _parse(expression)
    chosen = [cell for cell in cells if test(selection_text(cell))]
    if not chosen:
        words = {word for cell in cells for word in re.findall(r"[^\s|]+", cell.title)}
        raise UsageError(f"-k {expression!r} chooses none of {len(cells)} cells{did_you_mean(expression, words)}")
    return chosen


def parse_expression(cells: Sequence[Cell], words: str) -> list[Cell]:
    """The cells that have all these words; an expression with and, or, not works as in `select`.

    Where some cells have them as whole words, only these: `s1` is not `s10` then.

    Raises:
        UsageError: an expression cannot be read.
    """
    plain = words.casefold().split()
    if not plain or _OPERATORS & set(plain):
        test = _parse(words)
        return [cell for cell in cells if test(selection_text(cell))]
    found = [cell for cell in cells if all(word in selection_text(cell) for word in plain)]
    whole = [cell for cell in found if set(plain) <= set(selection_text(cell).split())]
    return whole or found


def selection_text(cell: Cell) -> str:
    """What the words of an expression are looked for in."""
    return f"{cell.title} {cell.id} {cell.config.strategy.kind}".casefold()


def parse_seeds(text: str) -> list[int]:
    """`0..4` is 0 to 4; `0,2,7` is just these.

    Raises:
        UsageError: it is neither.
    """
    if match := re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", text):
        first, last = int(match[1]), int(match[2])
        if first <= last <= first + 9999:
            return list(range(first, last + 1))
    elif re.fullmatch(r"\d{1,9}(,\d{1,9})*", text):
        return [int(part) for part in text.split(",")]
    raise UsageError(f"--seeds {text}: expected a range as 0..4, or a list as 0,2,7")


def _parse(expression: str) -> Test:
    tokens = _TOKENS.findall(expression)
    if len(tokens) > MAX_TERMS:
        raise UsageError(f"-k: {len(tokens)} words; at most {MAX_TERMS} are allowed")
    test, rest = _any(tokens, expression)
    if rest:
        raise UsageError(f"-k {expression!r}: cannot be read at {rest[0]!r}")
    return test


def _any(tokens: list[str], whole: str) -> tuple[Test, list[str]]:
    left, rest = _all(tokens, whole)
    if rest[:1] != ["or"]:
        return left, rest
    right, rest = _any(rest[1:], whole)
    return (lambda text: left(text) or right(text)), rest


def _all(tokens: list[str], whole: str) -> tuple[Test, list[str]]:
    left, rest = _parse_term(tokens, whole)
    if rest[:1] != ["and"]:
        return left, rest
    right, rest = _all(rest[1:], whole)
    return (lambda text: left(text) and right(text)), rest


def _parse_term(tokens: list[str], whole: str) -> tuple[Test, list[str]]:
    if not tokens or tokens[0] in ("and", "or", ")"):
        raise UsageError(f"-k {whole!r}: a word is missing {'at the end' if not tokens else f'before {tokens[0]!r}'}")
    if tokens[0] == "not":
        test, rest = _parse_term(tokens[1:], whole)
        return (lambda text: not test(text)), rest
    if tokens[0] == "(":
        test, rest = _any(tokens[1:], whole)
        if rest[:1] != [")"]:
            raise UsageError(f"-k {whole!r}: a closing parenthesis is missing")
        return test, rest[1:]
    word = tokens[0].casefold()
    return (lambda text: word in text), tokens[1:]
