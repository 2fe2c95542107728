"""Escapes untrusted text before a terminal, a spreadsheet or a Markdown renderer interprets it."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and characters that change the direction of text. Line breaks and tabs do not match."""
_FORMULA = re.compile(r"[=+\-@\t\r](?!(inf|nan|[\d.]+(e[+-]?\d+)?)\Z)", re.IGNORECASE)


def escape_control_characters(text: str) -> str:
    """Return the text with its control characters written as escape sequences.

    >>> print(escape_control_characters("\\x1b[2J"))
    \\x1b[2J
    """
    return CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """Return the text with its control characters, line breaks and tabs written as escape sequences."""
    return escape_control_characters(text).replace("\n", "\\n").replace("\t", "\\t")


def csv_cell(value: object) -> object:
    """Return text that a spreadsheet would evaluate with an apostrophe in front, and any other value unchanged.

    >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell(3)
    ("'=1+1", '-0.5', 3)
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def markdown_text(text: str) -> str:
    """Return the text with the characters escaped that would begin an HTML tag or a link.

    >>> markdown_text("<b>")
    '&lt;b>'
    """
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text).replace("](", r"\](")
