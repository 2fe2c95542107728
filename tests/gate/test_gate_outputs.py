"""What machines read: a pull-request comment, GitHub's annotations, JUnit XML by its schema; each says the same."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from xmlschema import XMLSchema

from fdabench.gate.github import annotations
from fdabench.gate.junit import junit
from fdabench.gate.markdown import comment
from fdabench.gate.verdict import Checked
from gate.conftest import made_up

Compare = Callable[..., Checked]
SCHEMA = XMLSchema(Path(__file__).with_name("junit.xsd"))


@pytest.fixture
def fifteen(compared: Compare) -> Checked:
    """Fifteen runs that are worse, one that is better, one that is missing, one inconclusive, some unchanged."""
    before = [made_up(f"a | b {i:02}", 0, bytes_to={"0.9": 40_000}) for i in range(20)]
    after = [replace(run, syncs=i + 1) for i, run in enumerate(before[:15])]
    better = replace(before[15], bytes_to={"0.9": 30_000})
    unsure = replace(before[16], accuracy=0.89)
    return compared(before, [*after, better, unsure, *before[17:19]])


def test_a_comment_has_the_worst_ten_and_folds_the_rest(fifteen: Checked) -> None:
    text = comment(fifteen)
    visible, *folded = text.split("<details>")
    rows = [line for line in visible.splitlines() if line.startswith("| B ")]
    assert len(rows) == 10
    assert "a \\| b 14" in rows[0], "the worst first"
    assert "a | b 19 s0" in visible
    assert len(re.findall(r"^\| [BC] ", folded[0], re.MULTILINE)) == 7
    assert "7 more" in folded[0]
    assert text.count("<details>") == text.count("</details>") == 2
    assert "a \\| b 17" not in text, "what is unchanged is not shown"


def test_annotations_are_what_the_runner_reads(fifteen: Checked) -> None:
    lines = annotations(fifteen)
    assert all(re.fullmatch(r"::(error|warning) title=[^:,\n]+::[^\n]+", line) for line in lines)
    assert len([line for line in lines if line.startswith("::error")]) == 12, "ten, how many more, what is missing"
    assert [line.split("%3A")[1].strip() for line in lines if line.startswith("::warning")] == [
        "accuracy",
        "bytes_to 0.9",
    ]
    assert "(-25.0 %25)" in lines[-1]


def test_junit_is_valid_and_counts_right(fifteen: Checked) -> None:
    for checked in (fifteen, replace(fifteen, strict=True)):
        text = junit(checked, "2026-11-23T12:50:39")
        SCHEMA.validate(text)
        root = ET.fromstring(text)
        (suite,) = root
        found = {tag: len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped")}
        told = {tag: int(suite.attrib[key]) for tag, key in zip(found, ("failures", "errors", "skipped"), strict=True)}
        assert told == found
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        assert found == {"failure": 15 + checked.strict, "error": 1, "skipped": 1 - checked.strict}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])


def test_the_schema_refuses_what_readers_stumble_over(fifteen: Checked) -> None:
    good = junit(fifteen, "2026-11-23T12:50:39")
    for was, made in (("<properties />", ""), ('time="0"', ""), ("12:50:39", "12:50:39+00:00"), ("failure", "failed")):
        assert was in good
        assert not SCHEMA.is_valid(good.replace(was, made))


def test_names_of_test_cases_are_unique(fifteen: Checked) -> None:
    names = [case.attrib["name"] for case in ET.fromstring(junit(fifteen, "2026-11-23T12:50:39")).iter("testcase")]
    assert len(set(names)) == len(names)


def test_a_quiet_comment_when_nothing_changed(compared: Compare) -> None:
    runs: list[Any] = [made_up("a", 0)]
    text = comment(compared(runs, runs))
    assert text.startswith("### fdabench: pass\n")
    assert "| class |" not in text
    assert annotations(compared(runs, runs)) == []
