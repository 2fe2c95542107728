"""A Sphinx extension: pages of docs/reference contain a comment, in whose place it puts the text that it generates.

What stands between `<!-- on the site:` and `-->`, such as a table of contents in the syntax of Sphinx, is part of the
page on the site only.

A page without this extension, as on the host of a repository, reads as a short page with a link to the same facts.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from command_reference import command_reference
from python_reference import python_reference
from suite_reference import suite_reference

from fdabench.cli.main import app
from fdabench.suite.editor import suite_json_schema

GENERATED: Mapping[str, Callable[[], str]] = {
    "<!-- generated: suite -->": lambda: suite_reference(suite_json_schema()),
    "<!-- generated: commands -->": lambda: command_reference(app),
    "<!-- generated: python -->": python_reference,
}


def with_generated_text(text: str) -> str:
    """A page with the generated text in place of its comments, and with what a comment keeps for the site."""
    text = re.sub(r"^<!-- on the site:\n(.*?)^-->$", r"\1", text, flags=re.MULTILINE | re.DOTALL)
    lines = text.split("\n")
    return "\n".join(GENERATED[line]() if line in GENERATED else line for line in lines)


def with_tables_as_files(text: str) -> str:
    """A page of a report whose links to its tables are to files, because the tables are no pages of the site."""
    return text.replace("](tables/", "](path:tables/")


def _on_source_read(_sphinx: Any, page: str, source: list[str]) -> None:
    text = with_generated_text(source[0])
    source[0] = with_tables_as_files(text) if page.startswith("reports/") else text


def attribute_sentence(lines: list[str]) -> list[str]:
    """The docstring of an attribute after napoleon, which takes what is before a colon for a type, as one sentence."""
    types = [line.removeprefix(":type: ") for line in lines if line.startswith(":type: ")]
    rest = [line for line in lines if not line.startswith(":type: ")]
    return [f"{types[0]}: {rest[0]}", *rest[1:]] if types and rest else lines


def _on_docstring(_sphinx: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Repair what reStructuredText and napoleon misread: |u|^2 is the square of a norm, not a substitution."""
    if what in ("attribute", "property"):
        lines[:] = attribute_sentence(lines)
    lines[:] = [line.replace("|", "\\|") for line in lines]


def setup(sphinx: Any) -> dict[str, bool]:
    """Connect the extension; Sphinx calls this."""
    sphinx.connect("source-read", _on_source_read)
    sphinx.connect("autodoc-process-docstring", _on_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
