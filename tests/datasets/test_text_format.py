"""The data kind `text` of a suite: a data set from files on disk, or one error message."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.datasets import DATASETS
from fdabench.datasets.formats.base import DataError, open_data
from fdabench.datasets.formats.text import Text
from fdabench.datasets.shakespeare import FOLDER, SPEECH
from fdabench.suite.reader import read_suite
from support.suites import TEXT_SUITE

TABLE = f"dataset = {{ kind = 'text', path = 'plays', owners = '{SPEECH}' }}"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite beside a folder with the plays of the package."""
    shutil.copytree(FOLDER, tmp_path / "plays")
    path = tmp_path / "text.toml"
    path.write_text(TEXT_SUITE.replace('dataset = "shakespeare"', TABLE))
    return path


def test_the_plays_from_disk_are_the_data_set_shakespeare() -> None:
    built_in = DATASETS["shakespeare"]
    source, data = Text(str(FOLDER), SPEECH), built_in.load(Path("nowhere"))
    actual = source.read()
    assert all(torch.equal(getattr(actual, part), getattr(data, part)) for part in ("train_x", "train_y", "test_x"))
    assert actual.owner_names == data.owner_names
    spec = open_data(source, "plays").spec
    keys = ("train_samples", "shape", "classes", "task")
    assert [getattr(spec, key) for key in keys] == [getattr(built_in, key) for key in keys]


def test_the_hash_is_of_the_samples_and_their_owners_and_not_of_the_path(tmp_path: Path) -> None:
    def content(text: str, owners: str = r"^\[(.+)\]$", name: str = "a.txt") -> str:
        (tmp_path / name).write_text(text)
        return open_data(Text(str(tmp_path / name), owners, context=2, test=0.5), "data").content

    text = "[ANN]\n0123456789\n[BOB]\n0123456789\n"
    assert content(text) == content(text, name="b.txt")
    changed = {
        content(text),
        content(text.replace("9", "8")),
        content(text.replace("BOB", "ANN")),
        content(text, "file"),
    }
    assert len(changed) == 4


@pytest.mark.slow
def test_a_suite_trains_on_text_from_disk_and_a_change_of_the_text_makes_its_cells_stale(
    suite: Path, tmp_path: Path
) -> None:
    command = ["run", str(suite), "--set", "budget.steps=1", "--set", "eval.every_steps=1", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "own-plays gpt-nano" in done.output
    again = CliRunner().invoke(app, command)
    assert "2 done" in again.output
    play = tmp_path / "plays" / "hamlet.txt"
    play.write_bytes(play.read_bytes().replace(b"Who's there?", b"Who is it??"))
    changed = CliRunner().invoke(app, ["plan", *command[1:]])
    assert "stale" in changed.output or "changed" in changed.output


FAULTS = {
    'path="missing"': "there is no such file or folder; expected a file, a folder or a pattern such as plays/**/*.md",
    'owners="flie"': 'has 0 groups; did you mean "file"?',
    "context=1000000": "no owner has a training sample of context + 1 = 1000001 bytes",
    "test=1.0": "1.0 is out of range: it must be less than 1",
    "contxt=3": 'allowed: kind, path, owners, context, test, alias; did you mean "context"?',
}


@pytest.mark.parametrize(("change", "message"), FAULTS.items(), ids=FAULTS)
def test_a_fault_names_the_key_and_nothing_is_written(suite: Path, change: str, message: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["run", str(suite), "--set", f"workload.0.dataset.{change}", "-o", str(tmp_path / "results")]
    )
    assert done.exit_code == 2
    output = " ".join(done.output.split())
    assert f"--set workload.0.dataset.{change.split('=')[0]}: " in output
    assert message in output
    assert not (tmp_path / "results").exists()


def test_links_without_a_target_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "missing")
    with pytest.raises(DataError, match="this folder has no file"):
        Text(str(tmp_path)).read()


def test_the_tables_of_the_document_are_valid(tmp_path: Path) -> None:
    """Each `{ kind = "text", ... }` of docs/data.md, with a folder of its own in place of its path."""
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    tables = re.findall(r"\{ kind = \"text\", .*? \}(?=\n| \||`)", page)
    assert len(tables) == 3
    for table in tables:
        keys = tomllib.loads(f"dataset = {table}")["dataset"]
        folder = tmp_path / Path(keys["path"]).name.replace("*.txt", "plays")
        shutil.copytree(FOLDER, folder / "author", dirs_exist_ok=True)
        actual = Text(**{key: value for key, value in keys.items() if key != "kind"} | {"path": str(folder)}).read()
        assert len(actual.owner_names) == (1 if keys["owners"] == "folder" else 72)


def test_owners_of_a_suite_are_owners_of_the_cell(suite: Path) -> None:
    loaded = read_suite(suite)
    name = loaded.cells[0].config.dataset
    data = loaded.registry.datasets[name].load(Path("nowhere"))
    assert "hamlet.txt: HAMLET" in data.owner_names
