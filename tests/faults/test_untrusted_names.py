"""Names with special characters, of components, suites, networks and baselines, are refused or printed as text."""

import csv
import io
import re
import shutil
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

Say = Callable[..., Any]
RESULTS = Path("results/hurt")
HOSTILE = {
    "html": "<script>alert(1)</script>",
    "attribute": "\" onmouseover=\"alert(1)' onfocus='alert(1)",
    "formula": '=HYPERLINK("http://example.org","x")',
    "at": "@SUM(1)",
    "tab": "\t=1+1",
    "latex": r"\input{/etc/passwd}$x_1$ & % # ^ ~",
    "markdown": "[x](javascript:alert(1)) | a | `b` <b>",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "annotation": "x\n::error title=forged::forged%0A",
    "bidi": "\u202egnp.exe",
    "path": "../../x",
}
PLUGIN = """
NAME = {name!r}
STRATEGIES, MONITORS, SERVERS, OPTIMIZERS = ({{NAME: object}} for _ in range(4))
PARTITIONS, DATASETS, MODELS = ({{NAME: object}} for _ in range(3))
"""
ROLES = ("STRATEGIES", "MONITORS", "SERVERS", "OPTIMIZERS", "PARTITIONS", "DATASETS", "MODELS")


QUICK = ("html", "terminal", "annotation")


@pytest.fixture(params=[pytest.param(key, marks=() if key in QUICK else pytest.mark.slow) for key in HOSTILE])
def name(request: pytest.FixtureRequest) -> str:
    return HOSTILE[request.param]


def assert_plain(result: Any) -> None:
    """The output has no control characters of terminals, no forged annotation of a CI runner and no traceback."""
    for text in (result.stdout, result.stderr):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), ascii(text)
        assert not re.search(r"^::error title=forged", text, re.MULTILINE), text
        assert "Traceback" not in text


def test_names_with_control_characters_of_a_plugin_are_refused(stopped_copy: Path, say: Say, name: str) -> None:
    Path("mine.py").write_text(PLUGIN.format(name=name))
    Path("hurt.toml").write_text('plugins = ["mine.py"]\n' + Path("hurt.toml").read_text())
    for command in (("validate",), ("plan",), ("run", "-q"), ("validate", "--output-format", "json")):
        result = say(command[0], "hurt.toml", *command[1:])
        assert result.exit_code == 2, result.output
        assert_plain(result)
    result = say("validate", "hurt.toml")
    for role in ROLES:
        assert re.search(rf"{role}\[.*a name has only letters", result.stderr), result.stderr


PLACES = {
    "suite": lambda raw, name: raw.update(name=name),
    "strategy": lambda raw, name: raw["strategy"][0].update(kind=name),
    "monitor": lambda raw, name: raw["strategy"][2].update(monitor=name),
    "data set": lambda raw, name: raw["workload"][0].update(dataset=name),
    "model": lambda raw, name: raw["workload"][0].update(model=name),
    "partition": lambda raw, name: raw["workload"][0].update(partition=name),
    "optimizer": lambda raw, name: raw["workload"][0]["optimizer"].update(kind=name),
    "network": lambda raw, name: raw.update(network=[{"name": name, "bandwidth_mbps": 1000.0}]),
    "convention": lambda raw, name: raw.update(convention=name),
    "key": lambda raw, name: raw.update({name: 1}),
}


@pytest.mark.parametrize("place", PLACES)
def test_names_with_control_characters_in_a_suite_are_refused(
    stopped_copy: Path, say: Say, name: str, place: str
) -> None:
    raw = tomllib.loads(Path("hurt.toml").read_text())
    PLACES[place](raw, name)
    Path("hurt.toml").write_bytes(tomli_w.dumps(raw).encode())
    result = say("validate", "hurt.toml")
    assert result.exit_code == 2, result.output
    assert_plain(result)


@pytest.fixture
def renamed(stopped_copy: Path) -> Callable[[str, str], None]:
    """Rename a component in the frozen suite and in its cells."""

    def rename(place: str, name: str) -> None:
        path = RESULTS / "suite.lock.toml"
        lock = tomllib.loads(path.read_text())
        for cell in lock["cell"]:
            config = cell["config"]
            if place in ("strategy", "partition"):
                config[place]["kind"] = name
            else:
                config[place] = name
        path.write_bytes(tomli_w.dumps(lock).encode())

    return rename


@pytest.mark.parametrize("place", ["dataset", "model", "strategy", "partition"])
def test_names_in_edited_results_are_refused_or_printed_as_text(
    stopped: Any, renamed: Callable[[str, str], None], say: Say, name: str, place: str
) -> None:
    renamed(place, name)
    whole = stopped.folder / RESULTS
    for command in (
        ("status", RESULTS),
        ("show", RESULTS, stopped.done),
        ("compare", RESULTS, whole, "--output-format", "markdown"),
        ("check", RESULTS, "--against", whole, "--output-format", "github"),
        ("cite", RESULTS),
    ):
        result = say(*command)
        assert result.exit_code in (0, 1, 2, 3, 4), (command, result.output, result.exception)
        assert_plain(result)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=HOSTILE)
def test_names_in_a_report_on_edited_results_are_escaped(
    renamed: Callable[[str, str], None], say: Say, number: int
) -> None:
    """Each text in one place, as a report takes seconds."""
    places = ("dataset", "model", "strategy", "partition")
    renamed(places[number % len(places)], list(HOSTILE.values())[number])
    result = say("report", RESULTS, "-o", "out")
    assert result.exit_code in (0, 2), result.output
    assert_plain(result)
    for page in Path("out").rglob("*.html"):
        text = page.read_text()
        assert "<script>alert" not in text
        assert not re.search(r"<[^>]*\son(mouseover|focus)=[\"']alert", text)
    for path in Path("out").rglob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text())):
            assert not [cell for cell in row if cell[:1] in tuple("=@\t")], (path, row)
    for path in Path("out").rglob("*.tex"):
        assert r"\input{" not in path.read_text(), path
    for path in Path("out").rglob("*.md"):
        assert not re.search(r"(?<!\\)\[x\]\(javascript:", path.read_text()), path


EDITS = ("suite", "cell", "id", "environment", "history", "revision", "config", "key")


@pytest.fixture(scope="module")
def finished(stopped: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one finished cell only."""
    root = tmp_path_factory.mktemp("baseline") / "hurt"
    shutil.copytree(stopped.folder / RESULTS, root)
    lock = tomllib.loads((root / "suite.lock.toml").read_text())
    lock["cell"], lock["end"] = [cell for cell in lock["cell"] if cell["id"] == stopped.done], {"cells": 1}
    (root / "suite.lock.toml").write_bytes(tomli_w.dumps(lock).encode())
    return root


def edited(raw: dict[str, Any], place: str, name: str) -> None:
    """Edit results consistently, so that they are read."""
    run = raw["runs"][0]
    if place == "suite":
        raw["suite"] = name
    elif place == "cell":
        run["cell"] = raw["cells"][0]["cell"] = name
    elif place == "id":
        run["id"] = name
    elif place == "environment":
        run["environment"] = raw["environments"][0]["id"] = name
    elif place == "history":
        raw["history"][0]["reason"] = name
    elif place == "revision":
        raw["history"][0] |= {"revision": name, "fdabench": name}
    elif place == "config":
        raw["cells"][0]["config"]["strategy"] = {"kind": name, name: name}
    else:
        run[name] = 1


@pytest.mark.slow
@pytest.mark.parametrize("place", EDITS)
def test_names_in_an_edited_baseline_are_refused_or_printed_as_text(
    finished: Path, say: Say, name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert say("baseline", "save", finished, "-o", "b.toml").exit_code == 0
    raw = tomllib.loads(Path("b.toml").read_text())
    edited(raw, place, name)
    Path("b.toml").write_bytes(tomli_w.dumps(raw).encode())
    for form in ("rich", "plain", "markdown", "github", "junit", "csv", "json"):
        result = say("check", finished, "--baseline", "b.toml", "--output-format", form)
        assert result.exit_code in (0, 1, 2, 4), (form, result.output, result.exception)
        assert_plain(result)
        if form == "junit" and result.stdout.strip():
            ET.fromstring(result.stdout)
        if form == "csv":
            assert not [c for row in csv.reader(io.StringIO(result.stdout)) for c in row if c[:1] in tuple("=@\t")]
        if form == "markdown":
            assert not re.search(r"^[^`]*(?<!\\)\[x\]\(javascript:", result.stdout, re.MULTILINE), result.stdout
            assert not re.search(r"^[^`]*<script>", result.stdout, re.MULTILINE), result.stdout
    for form in ("rich", "plain", "csv"):
        result = say("baseline", "show", "b.toml", "--output-format", form)
        assert result.exit_code in (0, 4), (result.output, result.exception)
        assert_plain(result)
    result = say("baseline", "accept", finished, "--baseline", "b.toml", "--reason", "mine")
    assert result.exit_code in (0, 2, 4), (result.output, result.exception)
    assert_plain(result)
