"""Words of a figure in lines that are short enough for their place."""

from textwrap import fill

TITLE_LETTERS = 46
"""Above a panel of 3.5 inches."""


def wrap_label(label: str, letters: int, most_lines: int | None = None) -> str:
    """In lines of at most so many letters, at blanks where there are any; … for what the last line has no room for."""
    return fill(label, letters, break_on_hyphens=False, max_lines=most_lines, placeholder=" …")
