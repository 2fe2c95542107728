"""Formats values, keys and paths as TOML, and finds the line of each key in a TOML file."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tomli_w

KeyPath = tuple[str | int, ...]
"""Keys and indices from the root of a file to a value: `("strategy", 2, "theta")`."""

MAX_SHOWN = 60
"""The number of characters to which a message truncates a value."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TOKEN = re.compile(
    r'''
      """(?:\\.|[^\\])*?"{3,5}   # strings of several lines may end in one or two quotes of their own
    | \'\'\'.*?\'{3,5}
    | "(?:\\.|[^"\\\n])*"
    | '[^'\n]*'
    | \#[^\n]*
    | [\[\]{},=\n]
    | [^\s\[\]{},="'\#]+
    ''',
    re.VERBOSE | re.DOTALL,
)


def format_toml(value: object) -> str:
    """Format a value as TOML on one line.

    >>> format_toml({"kind": "dirichlet", "alpha": 0.5})
    '{ kind = "dirichlet", alpha = 0.5 }'
    """
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{format_key(key)} = {format_toml(inner)}" for key, inner in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(format_toml, value))}]"
    return tomli_w.dumps({"_": value}).removeprefix("_ = ").rstrip("\n")


def format_value(value: object) -> str:
    """Format a value as TOML for a message, truncated to `MAX_SHOWN` characters.

    This never raises: a value that TOML cannot represent is formatted by `repr`.
    """
    try:
        text = format_toml(value)
    except ValueError:
        # Python refuses to convert an integer of more than 4,300 digits to text
        return "a number of thousands of digits"
    except TypeError:
        # TOML has no such type, so the value does not come from a file
        text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def format_key(key: str) -> str:
    """Format a key as TOML, in quotes if it needs them."""
    return key if _BARE_KEY.fullmatch(key) else tomli_w.dumps({key: 0}).removesuffix(" = 0\n")


def format_path(path: KeyPath) -> str:
    """Format a path in the notation of `--set`. Brackets are not used because a shell requires quotes around them.

    >>> format_path(("strategy", 2, "theta"))
    'strategy.2.theta'
    """
    return ".".join(str(step) if isinstance(step, int) else format_key(step) for step in path)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, on which each table, key and array element of a TOML document begins.

    Everything inside an inline table has the line of the inline table. The elements of a nested array have the line of
    the nested array. `tomllib` does not report positions, so the document is split into statements first.

    Args:
        text: a valid TOML document.

    >>> key_lines("seeds = [0, 1]")
    {('seeds',): 1, ('seeds', 0): 1, ('seeds', 1): 1}
    """
    lines: dict[KeyPath, int] = {}
    sizes: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for statement in _statements(text):
        parsed = tomllib.loads(statement.text)
        if statement.text.startswith("["):
            table = _header_path(parsed, sizes)
            for length in range(1, len(table) + 1):
                lines.setdefault(table[:length], statement.line)
            continue
        for path in _paths(parsed):
            index = next((step for step in path if isinstance(step, int)), len(statement.elements))
            line = statement.elements[index] if index < len(statement.elements) else statement.line
            lines.setdefault((*table, *path), line)
    return lines


class _Statement(NamedTuple):
    """A table header, or a key with its value. The value may take several lines."""

    text: str
    line: int
    """The line on which the statement begins."""
    elements: list[int]
    """The line of each element if the value is an array, otherwise empty."""


def _statements(text: str) -> Iterator[_Statement]:
    """Split a document into statements.

    It tracks the depth of brackets, since a value in brackets may take several lines.
    """
    start, line, depth, expects_element = 0, 1, 0, False
    first_line, elements, is_array, is_header = 1, list[int](), False, False
    previous = ""
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "\n" and depth == 0:
            if previous:
                yield _Statement(text[start : match.start()].strip(), first_line, elements)
            start, first_line, elements, previous = match.end(), line + 1, [], ""
            is_array = is_header = False
        elif token[0] not in "#\n":
            if not previous:
                is_header = token == "["
            if depth == 1 and is_array and expects_element and token not in ",]":
                elements.append(line)
                expects_element = False
            if depth == 0 and token == "[" and previous == "=":
                is_array = expects_element = True
            elif depth == 1 and token == ",":
                expects_element = True
            # a header ends with its line, so its brackets are not counted
            if not is_header:
                depth += (token in "[{") - (token in "]}")
            previous = token
        line += token.count("\n")
    if previous:
        yield _Statement(text[start:].strip(), first_line, elements)


def _header_path(parsed: Mapping[str, object], sizes: dict[KeyPath, int]) -> KeyPath:
    """Return the path of the table that the header `[a.b]` or `[[a.b]]` begins.

    Args:
        parsed: the header, parsed as a document.
        sizes: the number of tables in each array so far; updated.
    """
    path: KeyPath = ()
    node: Any = parsed
    while node:
        ((key, node),) = node.items()
        path += (key,)
        if isinstance(node, list):
            sizes[path] = sizes.get(path, 0) + 1
            node = node[0]
        if path in sizes:
            path += (sizes[path] - 1,)
    return path


def _paths(value: object, above: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every value in a nested value, outer values first."""
    if above:
        yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, nested in inner:
        yield from _paths(nested, (*above, step))
