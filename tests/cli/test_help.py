"""Help texts, completion, and the suite that `fdabench init` writes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fdabench.cli.help import EXIT_CODES, GATE, INSPECT, REFERENCE, RUN
from fdabench.cli.main import app
from fdabench.cli.options import CELLS, DISTRIBUTED, MACHINE, STOP_AND_RESUME
from fdabench.suite.reader import read_suite

InProcess = Callable[..., Any]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
MOST_LETTERS = 55


def test_the_commands_are_grouped_with_one_line_each(here: InProcess) -> None:
    output = here("-h").stdout
    groups = re.findall(r"^(\w+):\n((?:  +.*\n)+)", output, re.MULTILINE)
    listed = {name: re.findall(r"^  (\S+)  +(\S.*)$", lines, re.MULTILINE) for name, lines in groups}
    assert [name for name in listed if name != "Options"] == [RUN, INSPECT, GATE, REFERENCE]
    lines = {name: text for group in (RUN, INSPECT, GATE, REFERENCE) for name, text in listed[group]}
    assert lines.keys() == COMMANDS.keys()
    for name, text in lines.items():
        assert len(text) <= MOST_LETTERS, name
        assert text.endswith("."), f"{name}: {text}"
        assert "..." not in text, name


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"baseline"}))
def test_every_help_ends_with_an_example_and_the_exit_codes(here: InProcess, command: str) -> None:
    output, short = here(command, "--help").stdout, here(command, "-h").stdout
    assert output == short
    (example,) = re.findall(r"^Example:\n  fdabench (\w+)", output, re.MULTILINE)
    assert example == command
    codes = re.findall(r"^  (\d+) +\S", output.split("Exit codes:\n")[1], re.MULTILINE)
    assert {"0", "2", "70"} <= set(codes)
    assert codes == sorted(codes, key=int)


def test_the_options_of_run_are_grouped(here: InProcess) -> None:
    output = here("run", "-h").stdout
    places = [output.index(f"\n{group}:\n") for group in (CELLS, STOP_AND_RESUME, MACHINE, DISTRIBUTED)]
    assert places == sorted(places)
    assert all(re.search(rf"^  {code} ", output, re.MULTILINE) for code in EXIT_CODES)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"baseline", "check"}))
def test_every_option_states_its_default(command: str) -> None:
    """A default in its own words where the program has none to show."""
    silent = [
        option.name
        for option in COMMANDS[command].params
        if option.param_type_name == "option" and not option.is_flag and option.default is None
        if not re.search(r"\[default: |; required|repeatedly", option.help) and option.name not in LESS
    ]
    assert silent == []


LESS = ("extrapolate", "suite")
"""Options without which a command does another thing, or less."""


def test_shell_completion_lists_commands_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))  # the shell of tests is anyone's

    def completed(words: str) -> list[str]:
        arguments = {"_FDABENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        result = CliRunner().invoke(app, [], prog_name="fdabench", env=arguments)
        assert result.exit_code == 0, result.output
        return result.stdout.split()

    assert completed("fdabench s") == ["status", "show"]
    assert completed("fdabench run --sh") == ["--shard"]
    assert CliRunner().invoke(app, ["--show-completion", "bash"], prog_name="fdabench").exit_code == 0


def test_init_writes_a_valid_suite_and_never_replaces_a_file(here: InProcess) -> None:
    result = here("init")
    assert (result.exit_code, result.stdout) == (0, "suite.toml: written; next: fdabench run suite.toml\n")
    suite = read_suite(Path("suite.toml"))
    assert suite.notes == ()
    assert {cell.label for cell in suite.cells} == {"Synchronous", "FedAvg", "LinearFDA"}
    Path("suite.toml").write_text("mine")
    again = here("init")
    assert again.exit_code == 2
    assert "suite.toml: this file exists already and is unchanged" in again.stderr
    assert Path("suite.toml").read_text() == "mine"
    assert here("init", "notes.txt").exit_code == 2
    assert not Path("notes.txt").exists()
    assert here("init", "deeper/own.toml").exit_code == 0
    assert here("validate", "deeper/own.toml").stdout.startswith("deeper/own.toml: valid; 12 cells")


@pytest.mark.slow
def test_the_starter_suite_runs_and_prints_a_conclusion(here: InProcess) -> None:
    here("init", "own.toml")
    result = here("run", "own.toml", "-q", "--seeds", "0", "-k", "iid")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(here("show", "results/my-suite", "--output-format", "json").stdout)
    assert {row["strategy"] for row in rows} == {"Synchronous", "FedAvg", "LinearFDA"}
    assert any(row["reached"] for row in rows)
