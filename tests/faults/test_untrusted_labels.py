"""Labels in an untrusted results folder are printed as text in every output."""

import csv
import io
import re
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fdabench.results.escaping import csv_cell, escape_control_characters

Say = Callable[..., Any]
RESULTS = Path("results/hurt")
HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover=\"alert(1)' onfocus='alert(1)",
    "formula": '=HYPERLINK("http://example.org","x")',
    "plus": "+1+cmd|' /C calc'!A0",
    "at": "@SUM(1)",
    "minus": "-1+1|x",
    "tab": "\t=1+1",
    "latex": r"\input{/etc/passwd}$x_1$ & % # ^ ~",
    "markdown": "[x](javascript:alert(1)) | a | `b` <b>",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "annotation": "x\n::error title=forged::forged%0A",
    "bidi": "\u202egnp.exe",
}


REFUSED = ("tab", "terminal", "annotation", "bidi")
"""What is no label that fdabench writes: the folder is refused."""


@pytest.fixture
def labeled(stopped: Any, stopped_copy: Path) -> Callable[[str], None]:
    """Give a strategy another label in the copy of the results in the current folder."""

    def relabel(text: str) -> None:
        path = RESULTS / "suite.lock.toml"
        lock = tomllib.loads(path.read_text())
        lock["description"] = text
        for cell in lock["cell"]:
            if cell["id"] == stopped.other:
                cell["label"] = text
        path.write_bytes(tomli_w.dumps(lock).encode())

    return relabel


def assert_plain(result: Any) -> None:
    """The output has no control characters of terminals and no forged annotation of a CI runner."""
    for text in (result.stdout, result.stderr):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), ascii(text)
        assert not re.search(r"^::error title=forged", text, re.MULTILINE), text


@pytest.mark.parametrize("name", HOSTILE)
def test_output_contains_no_control_characters_of_a_label(
    stopped: Any, labeled: Callable[[str], None], say: Say, name: str
) -> None:
    labeled(HOSTILE[name])
    whole = stopped.folder / RESULTS
    for command in (
        ["status", RESULTS],
        ["show", RESULTS, stopped.other],
        *(["compare", RESULTS, whole, "--output-format", form] for form in ("rich", "plain", "markdown")),
        *(["check", RESULTS, "--against", whole, "--output-format", form] for form in ("rich", "github", "markdown")),
    ):
        result = say(*command)
        assert result.exit_code in ((2, 4) if name in REFUSED else (0, 1, 3, 4)), (
            command,
            result.output,
            result.exception,
        )
        assert_plain(result)


@pytest.mark.parametrize("name", HOSTILE)
def test_machine_readable_output_has_labels_unchanged(
    stopped: Any, labeled: Callable[[str], None], say: Say, name: str
) -> None:
    """A spreadsheet computes what begins as a formula; XML has no control characters."""
    labeled(HOSTILE[name])
    whole = stopped.folder / RESULTS
    result = say("compare", RESULTS, whole, "--output-format", "csv")
    for row in csv.reader(io.StringIO(result.stdout)):
        assert not [cell for cell in row if is_formula(cell)], row
    result = say("check", RESULTS, "--against", whole, "--output-format", "junit")
    if result.stdout.strip():
        ET.fromstring(result.stdout)


def is_formula(cell: str) -> bool:
    """Return whether a spreadsheet would evaluate the text; a number with a sign is not a formula."""
    return cell[:1] in tuple("=+-@\t\r") and not re.fullmatch(r"[+-]?(inf|nan|[\d.,]+(e[+-]?\d+)?)( ?%)?", cell.strip())


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_labels_in_a_report_are_escaped(labeled: Callable[[str], None], say: Say, name: str) -> None:
    labeled(HOSTILE[name])
    result = say("report", RESULTS, "-o", "out")
    assert_plain(result)
    if name in REFUSED:
        assert result.exit_code == 2
        assert "has control characters in it" in result.stderr
        return
    assert result.exit_code == 0, result.output
    (page,) = Path("out").rglob("index.html")
    text = page.read_text()
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert not re.search(r"<[^>]*\son(mouseover|focus)=[\"']alert", text)
    assert 'href="javascript:' not in text
    for path in Path("out").rglob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text())):
            assert not [cell for cell in row if is_formula(cell)], (path, row)
    for path in Path("out").rglob("*.tex"):
        assert r"\input{" not in path.read_text(), path
    assert [path for path in Path("out").rglob("*.csv") if "'" + HOSTILE[name][:1] in path.read_text()] or name not in (
        "formula",
        "plus",
        "at",
        "minus",
    )
    for path in Path("out").rglob("*.md"):
        shown = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)  # code has no links
        assert not re.search(r"(?<!\\)\[x\]\(javascript:", shown), path


@pytest.mark.parametrize("value", ["", "a=1", "LinearFDA", "-1.5", "+2", "-inf", "-3e-05", 7, None, -1.5])
def test_csv_cells_of_numbers_and_names_are_not_changed(value: object) -> None:
    assert csv_cell(value) == value


def test_error_messages_are_printed_without_control_characters() -> None:
    assert escape_control_characters("a\x1b[2J\u202eb\n\tc") == "a\\x1b[2J\\u202eb\n\tc"
