"""What the gate found, as a comment on a pull request: the worst ten, the rest folded away."""

import html
from collections.abc import Sequence

from fdabench.gate.verdict import Checked, Finding
from fdabench.gate.words import COLUMNS, answer, level_line, row, summary

WORST = 10
MOST = 100
"""Rows and lines that are folded: GitHub takes no comment of more than 65,536 characters."""
_HEAD = "\n".join("| " + " | ".join(words) + " |" for words in (COLUMNS, ["---"] * len(COLUMNS)))


def comment(checked: Checked) -> str:
    """Only what is not unchanged; what was compared at all is one folded block."""
    shown = checked.shown
    parts = [f"### fdabench: {answer(checked)}", f"{_code(checked.suite)} against {_code(checked.against)}"]
    parts += [_table(shown[:WORST])] if shown else []
    parts += [f"- {level_line(level)}" for level in checked.levels]
    parts += [f"- missing: {_code(name)}" for name in checked.missing[:WORST]]
    parts += [f"- and {len(checked.missing) - WORST} more missing"] if len(checked.missing) > WORST else []
    parts += [_folded(f"{len(shown) - WORST} more", _table(shown[WORST:]))] if len(shown) > WORST else []
    parts += [_folded("why: the first sync that differs", _listed(checked.why))] if checked.why else []
    parts.append(_folded("what was compared", "\n".join(["```", *summary(checked), "```"])))
    return "\n\n".join(parts) + "\n"


def _table(findings: Sequence[Finding]) -> str:
    lines = ["| " + " | ".join(_cells(finding)) + " |" for finding in findings[:MOST]]
    return "\n".join([_HEAD, *lines, *_rest(len(findings))])


def _cells(finding: Finding) -> list[str]:
    """A name is code: its words are no headings, no HTML, and its hash is no number of an issue."""
    texts = dict(zip(COLUMNS, row(finding), strict=True))
    plain = {key: html.escape(text, quote=False) for key, text in texts.items()} | {"cell": _code(texts["cell"])}
    return [text.replace("|", "\\|") for text in plain.values()]


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _listed(lines: Sequence[str]) -> str:
    return "\n".join([*(f"- {_code(line)}" for line in lines[:MOST]), *_rest(len(lines))])


def _rest(count: int) -> list[str]:
    return [f"\nand {count - MOST} more: `fdabench check --output-format csv` has all"] if count > MOST else []


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"
