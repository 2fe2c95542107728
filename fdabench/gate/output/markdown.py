"""Writes the findings of the gate as a comment on a pull request.

It contains a sentence for each strategy and the worst ten cells; the rest is in collapsed blocks.
"""

import html
from collections.abc import Sequence
from dataclasses import replace

from fdabench.formatting import truncate_list
from fdabench.gate.compare.verdict import CheckResult
from fdabench.gate.output.cell_rows import CellRow, cell_rows
from fdabench.gate.output.text import cell_table, head, hints, suite_test_line, summary, verdict_line
from fdabench.tables import column

WORST = 10
"""The number of cells that are shown outside of collapsed blocks."""
MAX_LENGTH = 100
"""The maximum of rows and lines in a collapsed block. GitHub rejects comments of more than 65,536 characters."""
_REST = "\nand {} more: `fdabench check --output-format csv` has all"


UNCHANGED = "<!-- fdabench check: unchanged -->"
"""The last line of a comment that reports no change: a program that posts comments need not post this one."""


def pr_comment(result: CheckResult) -> str:
    """Return the comment. It shows findings that are not `unchanged`, and a collapsed block lists what was compared.

    The last line is `UNCHANGED` if there is nothing else to show.
    """
    rows = cell_rows(result)
    parts = [
        f"### fdabench: {_plain(verdict_line(result))}",
        f"{_code(result.suite)} against {_code(result.against)}",
    ]
    sentences = [*head(result), *(suite_test_line(test) for test in result.suite_wide_tests)]
    lines = [f"- {_plain(line)}" for line in sentences]
    # An empty line ends the list in Markdown.
    parts += ["\n".join(truncate_list(lines, 2 * WORST, "\nand {} more"))] if sentences else []
    parts += [_table(rows[:WORST])] if rows else []
    parts += [_details_block(f"{len(rows) - WORST} more", _table(rows[WORST:]))] if len(rows) > WORST else []
    parts += ["\n".join(["```sh", *(_command(hint) for hint in hints(result)), "```"])] if hints(result) else []
    parts += [_details_block("why: the first sync that differs", _bullets(result.why))] if result.why else []
    compared = [line.replace("```", "'''") for line in summary(result)]
    parts.append(_details_block("what was compared", "\n".join(["```", *compared, "```"])))
    parts += [] if sentences or rows else [UNCHANGED]
    return "\n\n".join(parts) + "\n"


def _command(hint: str) -> str:
    """A hint as a shell command with a comment, such as `fdabench show ...   # inspect`."""
    purpose, _, command = hint.partition(": ")
    return f"{command}   # {purpose}"


def _table(rows: Sequence[CellRow]) -> str:
    titles, rule, *lines = replace(cell_table(rows), columns=_COLUMNS).markdown(lambda text: text.replace("|", "\\|"))
    return "\n".join([titles, rule, *truncate_list(lines, MAX_LENGTH, _REST)])


def _plain(text: str) -> str:
    """Escape untrusted text, so that it contains no HTML, mention, issue number or emphasis."""
    for character in "\\`*_[]":
        text = text.replace(character, f"\\{character}")
    text = html.escape(text, quote=False)
    return text.replace("@", "@<!-- -->").replace("#", "#<!-- -->")


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(truncate_list([f"- {_code(line)}" for line in lines], MAX_LENGTH, _REST))


def _details_block(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"


# Names are formatted as code, so that they are not interpreted as headings, HTML or mentions.
_COLUMNS = (
    column("verdict"),
    column("cell", write=_code),
    column("run", write=lambda run: _code(run) if run else ""),
    column("what changed", write=_plain),
)
