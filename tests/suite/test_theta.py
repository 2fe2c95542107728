"""The published rules for theta by name: the same cells as their numbers, with a warning."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from fdabench.cell_config import ScaledThreshold
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.published.theta_rules import THETA_PER_PARAMETER, rule_of
from fdabench.suite.editor import suite_json_schema
from fdabench.suite.reader import LoadedSuite

Read = Callable[..., LoadedSuite]
Table = dict[str, Any]


def cells(good: Table, read: Read, theta: Any) -> LoadedSuite:
    """LinearFDA alone, with this theta."""
    return read(good | {"strategy": [{"kind": "fda", "monitor": "linear", "theta": theta}]})


@pytest.mark.parametrize(("name", "constant"), [("hpc", 2.74e-5), ("balanced", 3.89e-5), ("fl", 4.91e-5)])
def test_a_rule_is_the_same_cell_as_its_number(good: Table, read: Read, name: str, constant: float) -> None:
    (number,) = cells(good, read, {"per_parameter": constant}).cells
    for theta in (name, {"per_parameter": name}):
        (cell,) = cells(good, read, theta).cells
        assert cell.id == number.id
        assert cell.config.strategy.parameters["theta"] == ScaledThreshold(constant)
    assert rule_of(constant) == name


def test_a_rule_has_the_expected_theta_for_each_parameter(good: Table, read: Read) -> None:
    (cell,) = cells(good, read, "balanced").cells
    numbers = ResolvedCell(cell.config).numbers()
    assert numbers["theta"] == pytest.approx(3.89e-5 * numbers["num_parameters"])


def test_rules_are_crossed_like_other_values(good: Table, read: Read) -> None:
    suite = cells(good, read, ["hpc", {"per_parameter": ["balanced", "fl"]}, 1.0])
    thetas = [cell.config.strategy.parameters["theta"] for cell in suite.cells]
    assert thetas == [ScaledThreshold(constant) for constant in THETA_PER_PARAMETER.values()] + [1.0]


def test_a_named_rule_gives_one_warning(good: Table, read: Read) -> None:
    suite = cells(good, read, ["balanced", {"per_parameter": ["fl", "balanced"]}])
    (note,) = [note for note in suite.notes if "per parameter" in note]
    assert note.startswith(
        "strategy.0: the rules for theta (hpc 2.74e-05, balanced 3.89e-05, fl 4.91e-05 per parameter)"
    )
    assert "four points" in note
    assert "sweep around it" in note


def test_a_number_gives_no_warning(good: Table, read: Read) -> None:
    assert cells(good, read, [{"per_parameter": 3.89e-5}, 2.0]).notes == ()


def test_an_override_may_name_a_rule(good: Table, read: Read) -> None:
    assert read(good, "strategy.2.theta=fl").cells[2].config.strategy.parameters["theta"] == ScaledThreshold(4.91e-5)


def test_a_name_equal_to_a_rule_is_not_resolved_as_theta(good: Table, read: Read) -> None:
    good["strategy"][0]["name"] = "balanced"
    assert read(good).notes == ()


def test_the_editor_schema_has_the_rules() -> None:
    schema = suite_json_schema()
    (fda,) = [
        variant
        for variant in schema["properties"]["strategy"]["items"]["anyOf"]
        if variant["properties"]["kind"]["const"] == "fda"
    ]
    names = '"enum": ["hpc", "balanced", "fl"]'
    assert names in json.dumps(fda["properties"]["theta"])
    assert names in json.dumps(schema["$defs"]["PerParameter"]["properties"]["per_parameter"])
