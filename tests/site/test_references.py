"""The references that the documentation site generates: every key, every command and every name, once."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from command_reference import command_reference
from generated_pages import GENERATED, attribute_sentence, with_generated_text, with_tables_as_files
from python_reference import python_reference
from suite_reference import suite_reference, value_text

from fdabench import api
from fdabench.cli.main import app
from fdabench.registry.registry import BUILT_IN
from fdabench.suite.editor import suite_json_schema

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = suite_json_schema()
SUITE_PAGE = suite_reference(SCHEMA)


def section(heading: str) -> str:
    (actual,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^\(|\Z)", SUITE_PAGE, re.MULTILINE | re.DOTALL)
    return actual


def keys_in(text: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


def tables_of(node: Any) -> list[dict[str, Any]]:
    """Every table in the schema, wherever it stands."""
    parts = node if isinstance(node, list) else list(node.values()) if isinstance(node, dict) else []
    own = [node] if isinstance(node, dict) and isinstance(node.get("properties"), dict) else []
    return own + [table for part in parts for table in tables_of(part)]


def test_every_table_of_the_schema_has_its_keys_in_a_section() -> None:
    written = {frozenset(keys_in(part)) for part in SUITE_PAGE.split("\n## ")}
    tables = tables_of(SCHEMA)
    assert len(tables) > 80
    assert [table["title"] for table in tables if frozenset({*table["properties"]} - {"kind"}) not in written] == []


@pytest.mark.parametrize(
    ("role", "kinds"),
    [
        ("strategy", BUILT_IN.strategies),
        ("monitor", BUILT_IN.monitors),
        ("server", BUILT_IN.servers),
        ("codec", BUILT_IN.codecs),
        ("partition", BUILT_IN.partitions),
    ],
)
def test_every_component_of_the_registry_has_a_section(role: str, kinds: Any) -> None:
    assert [kind for kind in kinds if f"\n## {role} `{kind}`\n" not in SUITE_PAGE] == []


def test_a_row_has_the_value_the_default_and_the_meaning() -> None:
    rows = {row.split(" | ")[0]: row for row in section("The table `eval`").splitlines()}
    assert rows["| `consecutive`"] == (
        "| `consecutive` | integer, ≥ 1 | `1` | Evaluations in a row that must reach a target. |"
    )
    assert "`required`" not in SUITE_PAGE
    assert "| required |" in section("strategy `fda`")


def test_every_anchor_is_unique_and_every_link_has_one() -> None:
    anchors = re.findall(r"^\(([\w-]+)\)=$", SUITE_PAGE, re.MULTILINE)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([\w-]+)\)", SUITE_PAGE)) <= set(anchors)


def test_a_key_that_accepts_lists_is_described_by_one_value() -> None:
    value = {"type": "integer", "minimum": 1}
    either = {"anyOf": [value, {"type": "array", "items": value}]}
    assert value_text("workers", either, {}) == value_text("workers", value, {}) == "integer, ≥ 1"


def test_every_command_and_every_option_is_on_the_page_of_commands() -> None:
    page = command_reference(app)
    root: Any = typer.main.get_command(app)
    commands = {
        **root.commands,
        **{f"baseline {name}": values for name, values in root.commands["baseline"].commands.items()},
    }
    for name, command in commands.items():
        (text,) = re.findall(rf"^## fdabench {name}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
        assert [option for option in options if option not in text] == [], name


def test_every_function_and_class_that_is_exported_is_on_the_page_of_python() -> None:
    page = python_reference()
    exported = [
        name for name in api.__all__ if callable(getattr(api, name)) and hasattr(getattr(api, name), "__name__")
    ]
    described = set(re.findall(r":: fdabench\.api\.(\w+)", page))
    assert {name for name in exported if isinstance(getattr(api, name), type)} <= described
    assert {"run_suite", "load_results", "synchronize"} <= described <= set(api.__all__)
    assert {"autofunction:: fdabench.load", "autofunction:: fdabench.sync"} <= set(
        re.findall(r"auto\w+:: [\w.]+", page)
    )


def test_each_generated_text_has_one_page() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")]
    assert sorted(re.findall(r"<!-- generated: \w+ -->", "".join(pages))) == sorted(GENERATED)
    assert all(len(with_generated_text(page)) > 2 * len(page) for page in pages)
    assert with_generated_text("# Other\n") == "# Other\n"


def test_a_comment_for_the_site_is_part_of_the_page() -> None:
    assert with_generated_text("a\n<!-- on the site:\nb\n-->\n<!-- c -->\n") == "a\nb\n\n<!-- c -->\n"


def test_a_colon_in_the_docstring_of_an_attribute_is_kept() -> None:
    assert attribute_sentence(["its axes.", "", ":type: One row for each cell"]) == [
        "One row for each cell: its axes.",
        "",
    ]
    assert attribute_sentence(["One row.", ""]) == ["One row.", ""]


def test_the_tables_of_a_report_are_linked_as_files() -> None:
    assert with_tables_as_files("[a](tables/a.md), [b](b.md)") == "[a](path:tables/a.md), [b](b.md)"
