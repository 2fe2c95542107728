"""What the gate found, as a comment on a pull request: sentences, the worst ten cells, the rest folded away."""

import html
from collections.abc import Sequence
from dataclasses import replace

from fdabench.formatting import first_of
from fdabench.gate.folded import Row, rows
from fdabench.gate.verdict import Checked
from fdabench.gate.words import answer, cell_table, head, hints, level_line, summary
from fdabench.tables import column

WORST = 10
MOST = 100
"""Rows and lines that are folded: GitHub takes no comment of more than 65,536 characters."""
_REST = "\nand {} more: `fdabench check --output-format csv` has all"


def comment(checked: Checked) -> str:
    """Only what is not unchanged; what was compared at all is one folded block."""
    shown = rows(checked)
    parts = [f"### fdabench: {_plain(answer(checked))}", f"{_code(checked.suite)} against {_code(checked.against)}"]
    told = [*head(checked), *(level_line(level) for level in checked.levels)]
    lines = [f"- {_plain(line)}" for line in told]
    # an empty line ends the list
    parts += ["\n".join(first_of(lines, 2 * WORST, "\nand {} more"))] if told else []
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
    titles, rule, *lines = replace(cell_table(shown), columns=_COLUMNS).markdown(lambda text: text.replace("|", "\\|"))
    return "\n".join([titles, rule, *first_of(lines, MOST, _REST)])


def _plain(text: str) -> str:
    """Words of others in a sentence: no HTML, no mention, no number of an issue, no emphasis."""
    for character in "\\`*_[]":
        text = text.replace(character, f"\\{character}")
    text = html.escape(text, quote=False)
    return text.replace("@", "@<!-- -->").replace("#", "#<!-- -->")


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(first_of([f"- {_code(line)}" for line in lines], MOST, _REST))


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"


# a name is code: its words are no headings, no HTML, and what looks like a mention is none
_COLUMNS = (
    column("verdict"),
    column("cell", write=_code),
    column("run", write=lambda run: _code(run) if run else ""),
    column("what changed", write=_plain),
)
