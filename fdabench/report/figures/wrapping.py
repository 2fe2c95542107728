"""Wraps labels and titles in figures."""

from textwrap import fill

TITLE_LETTERS = 46
"""The number of letters in a line that fits above a panel of 3.5 inches."""
HEAD_LETTERS = 38
"""The same for the first line, which names a model: lines with long words would be cut at the edge of the figure."""


def wrap_label(label: str, letters: int, most_lines: int | None = None) -> str:
    """Wrap a label at blanks; longer words are broken.

    Args:
        label: the text.
        letters: in a line, at most.
        most_lines: at most; the last line ends in ` …` if text is left out. Default: any number.

    >>> print(wrap_label("LinearFDA theta=0.5 lr=0.1", 12, 2))
    LinearFDA
    theta=0.5 …
    """
    return fill(label, letters, break_on_hyphens=False, max_lines=most_lines, placeholder=" …")
