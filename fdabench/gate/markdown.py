"""What the gate found, as a comment on a pull request: the worst ten, the rest folded away."""

from collections.abc import Sequence

from fdabench.gate.verdict import Checked, Finding
from fdabench.gate.words import COLUMNS, answer, level_line, row, summary

WORST = 10
_HEAD = "\n".join("| " + " | ".join(words) + " |" for words in (COLUMNS, ["---"] * len(COLUMNS)))


def comment(checked: Checked) -> str:
    """Only what is not unchanged; what was compared at all is one folded block."""
    shown = checked.shown
    parts = [f"### fdabench: {answer(checked)}", f"`{checked.suite}` against `{checked.against}`"]
    parts += [_table(shown[:WORST])] if shown else []
    parts += [f"- {level_line(level)}" for level in checked.levels]
    parts += [f"- missing: `{name}`" for name in checked.missing[:WORST]]
    parts += [f"- and {len(checked.missing) - WORST} more missing"] if len(checked.missing) > WORST else []
    parts += [_folded(f"{len(shown) - WORST} more", _table(shown[WORST:]))] if len(shown) > WORST else []
    parts += [_folded("why: the first sync that differs", _listed(checked.why))] if checked.why else []
    parts.append(_folded("what was compared", "\n".join(["```", *summary(checked), "```"])))
    return "\n\n".join(parts) + "\n"


def _table(findings: Sequence[Finding]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row(finding)) + " |" for finding in findings]
    return "\n".join([_HEAD, *lines])


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"
