"""What the gate found, as a comment on a pull request: sentences, the worst ten cells, the rest folded away."""

import html
from collections.abc import Sequence

from fdabench.gate.folded import Row, rows
from fdabench.gate.verdict import Checked
from fdabench.gate.words import COLUMNS, answer, head, hints, level_line, row_texts, summary

WORST = 10
MOST = 100
"""Rows and lines that are folded: GitHub takes no comment of more than 65,536 characters."""
_HEAD = "\n".join("| " + " | ".join(words) + " |" for words in (COLUMNS, ["---"] * len(COLUMNS)))


def comment(checked: Checked) -> str:
    """Only what is not unchanged; what was compared at all is one folded block."""
    shown = rows(checked)
    parts = [f"### fdabench: {_plain(answer(checked))}", f"{_code(checked.suite)} against {_code(checked.against)}"]
    told = [*head(checked), *(level_line(level) for level in checked.levels)]
    parts += ["\n".join(f"- {_plain(line)}" for line in told[: 2 * WORST])] if told else []
    parts += [f"and {len(told) - 2 * WORST} more"] if len(told) > 2 * WORST else []
    parts += [_table(shown[:WORST])] if shown else []
    parts += [_folded(f"{len(shown) - WORST} more", _table(shown[WORST:]))] if len(shown) > WORST else []
    parts += ["\n".join(["```sh", *(_command(hint) for hint in hints(checked)), "```"])] if hints(checked) else []
    parts += [_folded("why: the first sync that differs", _listed(checked.why))] if checked.why else []
    compared = [line.replace("```", "'''") for line in summary(checked)]
    parts.append(_folded("what was compared", "\n".join(["```", *compared, "```"])))
    return "\n\n".join(parts) + "\n"


def _command(hint: str) -> str:
    """`fdabench show ...   # look`, which can be pasted whole."""
    what, _, command = hint.partition(": ")
    return f"{command}   # {what}"


def _table(shown: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(_cells(row)) + " |" for row in shown[:MOST]]
    return "\n".join([_HEAD, *lines, *_rest(len(shown))])


def _cells(row: Row) -> list[str]:
    """A name is code: its words are no headings, no HTML, and what looks like a mention is none."""
    verdict, cell, run, what = row_texts(row)
    texts = [verdict, _code(cell), _code(run) if run else "", _plain(what)]
    return [text.replace("|", "\\|") for text in texts]


def _plain(text: str) -> str:
    """Words of others in a sentence: no HTML, no mention, no number of an issue, no emphasis."""
    for character in "\\`*_[]":
        text = text.replace(character, f"\\{character}")
    text = html.escape(text, quote=False)
    return text.replace("@", "@<!-- -->").replace("#", "#<!-- -->")


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _listed(lines: Sequence[str]) -> str:
    return "\n".join([*(f"- {_code(line)}" for line in lines[:MOST]), *_rest(len(lines))])


def _rest(count: int) -> list[str]:
    return [f"\nand {count - MOST} more: `fdabench check --output-format csv` has all"] if count > MOST else []


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"
