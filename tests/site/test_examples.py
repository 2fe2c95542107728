"""The command lines and the TOML of every page: those that no test runs are parsed."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from fdabench.accounting.costs import CONVENTIONS, Message
from fdabench.cli.constants import conventions
from fdabench.cli.main import app
from fdabench.validation.fleet_file import read_fleets

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SHELLS = ("sh", "bash", "text", "")


def blocks(path: Path) -> list[tuple[str, str]]:
    """Language and text of the fenced blocks of a page."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def command_lines(path: Path) -> list[str]:
    """The calls of fdabench in the blocks of a page, without what the shell does with their output."""
    text = "\n".join(text for language, text in blocks(path) if language in SHELLS).replace("\\\n", " ")
    calls = [
        call.strip().removeprefix("$ ") for line in text.splitlines() for call in re.split(r"&&|\|\||[|;>]| #", line)
    ]
    return [
        call for call in calls if re.match(r"fdabench [a-z]+ +[^ ]", call) and "  " not in call and "..." not in call
    ]


WITH_TOML = [path for path in PAGES if "```toml" in path.read_text(encoding="utf-8")]
CALLS = [(path, call) for path in PAGES for call in command_lines(path)]


def test_the_pages_have_command_lines() -> None:
    assert len(CALLS) > 30
    assert {path.name for path, _ in CALLS} >= {
        "tutorial.md",
        "gallery.md",
        "extrapolation.md",
        "fleets.md",
        "clusters.md",
    }


@pytest.mark.parametrize(("path", "call"), CALLS, ids=[f"{path.stem}: {call}" for path, call in CALLS])
def test_a_command_line_of_a_page_parses(path: Path, call: str) -> None:
    _, name, *arguments = shlex.split(call)
    command = COMMANDS[name]
    if name == "baseline":
        command, arguments = command.commands[arguments[0]], arguments[1:]
    # SUITE stands for any suite, and the argument accepts only what exists
    command.make_context(name, ["quickstart" if word == "SUITE" else word for word in arguments])
    suites = [word for word in arguments if word.startswith(("suites/", "examples/"))]
    assert [suite for suite in suites if not (ROOT / suite).is_file()] == []


@pytest.mark.parametrize("path", WITH_TOML, ids=[path.name for path in WITH_TOML])
def test_the_toml_of_a_page_is_toml(path: Path) -> None:
    """Each block is found, also one that is indented or not closed, is valid TOML, and has a key."""
    text = path.read_text(encoding="utf-8")
    parsed = [tomllib.loads(block) for language, block in blocks(path) if language == "toml"]
    assert len(parsed) == text.count("```toml")
    assert all(parsed), "a block has no key"


def test_the_fleet_of_the_page_is_a_valid_fleet_file(tmp_path: Path) -> None:
    (text,) = [text for language, text in blocks(ROOT / "docs" / "fleets.md") if text.startswith("[[fleet]]")]
    path = tmp_path / "my-fleet.toml"
    path.write_text(text, encoding="utf-8")
    assert list(read_fleets(str(path))) == ["our-phones"]


def test_the_table_of_conventions_equals_the_output_of_the_command() -> None:
    page = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `(paper|star|ring|upload)`[^|]*\| (.*) \| [^|]+ \|$", page, re.MULTILINE))
    columns = ("model sync of n bytes", "local state of n bytes", "initial distribution")
    assert shown == {row["name"]: " | ".join(str(row[item]) for item in columns) for row in conventions().records}


def test_the_example_of_the_conventions_is_computed() -> None:
    sync = {name: cost["model"](Message(1_000_000, 1_000_000), 4) for name, cost in CONVENTIONS.items()}
    assert sync == {"paper": 8_000_000, "star": 8_000_000, "ring": 6_000_000, "upload": 4_000_000}
