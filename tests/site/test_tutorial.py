"""The tutorial: its files are written, its commands are run in order, and its Python code is executed."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.suite.reader import read_suite

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def write_files(folder: Path) -> list[str]:
    """Write the blocks whose first line names a file; the names."""
    named = [(actual[1], text) for _, text in BLOCKS if (actual := re.match(r"# ([\w.]+)\n", text))]
    for name, text in named:
        (folder / name).write_text(text, encoding="utf-8")
    return [name for name, _ in named]


def test_the_suites_of_the_tutorial_are_valid_and_have_the_cells_that_it_counts(tmp_path: Path) -> None:
    assert write_files(tmp_path) == ["digits.toml", "skewed.toml", "relative.py", "mine.toml"]
    cells = {name: len(read_suite(tmp_path / f"{name}.toml").cells) for name in ("digits", "skewed", "mine")}
    assert cells == {"digits": 6, "skewed": 4, "mine": 8}


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    commands = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    assert len(commands) == 9
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, f"{command}\n{done.output}"
    (analysis,) = [text for language, text in BLOCKS if language == "python" and text.startswith("import fdabench")]
    exec(analysis, {})  # the example reads the results of the commands
    assert (tmp_path / "report" / "index.html").is_file()
    again = CliRunner().invoke(app, ["run", "mine.toml"])
    assert "0 to run" in again.output
    assert "relative share=0.1" in again.output
