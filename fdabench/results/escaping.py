"""Text that others chose, before somebody else's program obeys it: a terminal, a spreadsheet, a page of Markdown."""

import re
from typing import Any

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, and what turns the direction of writing; lines and tabs are not among it."""
_FORMULA = re.compile(r"[=+\-@\t\r](?!(inf|nan|[\d.]+(e[+-]?\d+)?)\Z)", re.IGNORECASE)


def escape_control_characters(text: str) -> str:
    """With its control characters written out, as in `\\x1b[2J`."""
    return CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The same, with its line breaks and tabs written out as well."""
    return escape_control_characters(text).replace("\n", "\\n").replace("\t", "\\t")


def csv_cell(value: Any) -> Any:
    """What a spreadsheet would compute, behind an apostrophe; numbers and everything else as they are."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def markdown_text(text: str) -> str:
    """Without links and tags of its own."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text).replace("](", r"\](")
