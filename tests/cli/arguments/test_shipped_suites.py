"""Suites of the package are selected by name; a file of that name has precedence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from fdabench.cli.arguments.shipped_suites import parse_suite, shipped_suites

InProcess = Callable[..., Any]
SUITES = Path(__file__).parents[3] / "suites"


def test_every_suite_of_the_checkout_has_a_name() -> None:
    assert {path.resolve() for path in shipped_suites().values()} == set(SUITES.resolve().rglob("*.toml"))
    assert shipped_suites()["paper/mnist-lenet5"].name == "mnist-lenet5.toml"


def test_a_file_has_precedence_over_a_shipped_name_and_a_folder_has_not(here: InProcess) -> None:
    assert parse_suite("quickstart") == shipped_suites()["quickstart"]
    Path("quickstart").mkdir()
    assert parse_suite("quickstart") == shipped_suites()["quickstart"]
    Path("ci").write_text("name = 1")
    assert parse_suite("ci") == Path("ci")


def test_an_unknown_name_is_refused_with_the_nearest_name(here: InProcess) -> None:
    with pytest.raises(typer.BadParameter, match='did you mean "quickstart"'):
        parse_suite("quikstart")
    for command in ("run", "plan", "validate", "cite"):
        result = here(command, "quikstart")
        assert result.exit_code == 2
        assert "'quikstart' is neither a file nor a suite" in result.stderr
    assert list(Path().glob("results*")) == []


def test_a_path_that_ends_in_toml_is_not_resolved_as_a_shipped_name(here: InProcess) -> None:
    assert parse_suite("nowhere.toml") == Path("nowhere.toml")
    assert "nowhere.toml: no such file" in here("validate", "nowhere.toml").stderr


@pytest.mark.parametrize("command", ["validate", "cite"])
def test_commands_accept_the_name_of_a_shipped_suite(here: InProcess, command: str) -> None:
    result = here(command, "ci")
    assert result.exit_code == 0, result.stderr
    assert result.stdout


def test_the_list_has_the_cells_of_each_suite(here: InProcess) -> None:
    rows = {row["name"]: row for row in json.loads(here("list", "suites", "--output-format", "json").stdout)}
    assert rows.keys() == shipped_suites().keys()
    for name in ("ci", "quickstart"):
        valid = here("validate", name).stdout
        assert f"valid; {rows[name]['cells']} cells" in valid
        assert rows[name]["about"]
