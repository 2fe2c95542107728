"""Hints for unknown names, and the schema for editors."""

from collections.abc import Iterator
from typing import Any

import pytest

from fdabench.errors import did_you_mean
from fdabench.registry.registry import BUILT_IN
from fdabench.suite.editor import suite_json_schema
from fdabench.suite.synonyms import KEYS_OF_OTHER_TOOLS, suggest_replacement


@pytest.mark.parametrize(
    ("word", "allowed", "meant"),
    [
        ("FDA", ["synchronous", "fda"], "fda"),
        ("sync", ["fedavg", "synchronous"], "synchronous"),
        ("extend", ["eval", "extends"], "extends"),
        ("Theta", ["every", "theta"], "theta"),
        ("fedAvg", ["fedavgm", "fedavg"], "fedavg"),
    ],
)
def test_the_nearest_name_ignores_case(word: str, allowed: list[str], meant: str) -> None:
    assert did_you_mean(word, allowed) == f'; did you mean "{meant}"?'


def test_a_text_that_resembles_no_name_has_no_hint() -> None:
    assert (
        did_you_mean("x", ["synchronous"])
        == did_you_mean("s", ["synchronous"])
        == did_you_mean("monitor", ["theta"])
        == ""
    )


@pytest.mark.parametrize("word", KEYS_OF_OTHER_TOOLS)
def test_names_of_other_tools_are_explained_in_any_case(word: str) -> None:
    allowed = ["workers", "local_steps", "lr"]
    assert suggest_replacement(word, allowed) == suggest_replacement(word.upper(), allowed) != ""


def test_a_key_is_not_proposed_where_it_is_not_allowed() -> None:
    assert suggest_replacement("clients", ["steps", "epochs"]) == suggest_replacement("steps", ["epochs"]) == ""


def keys(node: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of every table of a JSON Schema, with its own schema."""
    if isinstance(node, dict):
        for name, key in node.get("properties", {}).items():
            yield f"{where}.{name}", key
        for name, part in node.items():
            yield from keys(part, f"{where}/{name}")
    elif isinstance(node, list):
        for index, part in enumerate(node):
            yield from keys(part, f"{where}/{index}")


def test_the_editor_schema_describes_every_key() -> None:
    actual = dict(keys(suite_json_schema()))
    assert len(actual) > 100
    assert [where for where, key in actual.items() if not key.get("description", "").strip()] == []
    left_over = [where for where, key in actual.items() if key["description"].startswith("A key of ")]
    assert left_over == [], "what only plug-ins' own keys have"


def test_the_editor_schema_has_the_tables_of_own_data_and_models() -> None:
    workload = suite_json_schema()["properties"]["workload"]["items"]["anyOf"][0]["properties"]
    for key, kinds in (("dataset", BUILT_IN.formats), ("model", BUILT_IN.model_sources)):
        # a name, a table of one kind, or for models a table of a name with what is trained; each also in a list
        allowed = workload[key]["anyOf"][0]["anyOf"]
        assert "digits" in str(allowed[0]) or "mlp" in str(allowed[0])
        actual = [table["properties"]["kind"]["const"] for table in allowed[1:] if "kind" in table["properties"]]
        assert actual == list(kinds)
        assert len(allowed) - 1 - len(actual) == (1 if key == "model" else 0)
