"""Pull-request comment, GitHub annotations and JUnit XML (valid by its schema) report the same findings."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from xmlschema import XMLSchema

from fdabench.cli.commands.gate.check import render_findings
from fdabench.gate.compare.verdict import CheckResult, Finding, Verdict
from fdabench.gate.output.cell_rows import cell_rows
from fdabench.gate.output.github import annotations
from fdabench.gate.output.junit import junit
from fdabench.gate.output.markdown import pr_comment
from support.gate_runs import make_run

Compare = Callable[..., CheckResult]
SCHEMA = XMLSchema(Path(__file__).with_name("junit.xsd"))


@pytest.fixture
def fifteen(compared: Compare) -> CheckResult:
    """Fifteen runs that are worse, one that is better, one that is missing, one inconclusive, some unchanged."""
    before = [make_run(f"a | b {i:02}", 0, bytes_to={"0.9": 40_000}) for i in range(20)]
    after = [replace(run, syncs=i + 1) for i, run in enumerate(before[:15])]
    better = replace(before[15], bytes_to={"0.9": 30_000})
    unsure = replace(before[16], accuracy=0.89)
    return compared(before, [*after, better, unsure, *before[17:19]])


def test_a_comment_shows_the_ten_worst_cells_and_folds_the_others(fifteen: CheckResult) -> None:
    text = pr_comment(fifteen)
    visible, *folded = text.split("<details>")
    rows = [line for line in visible.splitlines() if line.startswith("| fail ")]
    assert len(rows) == 10
    assert "`a \\| b 00`" in rows[0], "as bad as all, and the first"
    assert "1 of 20 runs gone from the results" in visible
    assert len(re.findall(r"^\| (fail|better|inconclusive) ", folded[0], re.MULTILINE)) == 7
    assert "7 more" in folded[0]
    assert text.count("<details>") == text.count("</details>") == 2
    assert "a \\| b 17" not in text, "what is unchanged is not shown"


def test_a_comment_lists_the_worst_cell_first(compared: Compare) -> None:
    """A formula, a state or a target that was missed before any number; then the sizes, in margins; hashes last."""
    before = [make_run(name, 0, bytes_to={"0.9": 40_000}) for name in "abcdefg"]
    changes: list[dict[str, Any]] = [
        {"sync_steps": "other"},
        {"bytes_total": 88_001},
        {"bytes_total": 176_000},
        {"accuracy": 0.75},
        {"bytes_to": {}},
        {"payload": {"state": (12,)}},
        {"bytes_to": {"0.9": 20_000}},
    ]
    checked = compared(before, [replace(run, **change) for run, change in zip(before, changes, strict=True)])
    assert [finding.cell for finding in checked.changed_findings] == list("efdcbag")
    assert [
        row.split("`")[1] for row in pr_comment(checked).splitlines() if row.startswith("| ") and "`" in row
    ] == list("efdcbag")


def test_names_in_a_comment_are_escaped(compared: Compare) -> None:
    name = "a|b `c` <img src=x> *d* #123 @e & 😀"
    before = [make_run(name, seed) for seed in range(12)]
    checked = compared(before, [replace(run, sync_steps="<b>|") for run in before[:11]])
    text = pr_comment(checked)
    for line in re.sub(r"(?s)```.*```", "", text).splitlines():
        if line.startswith("| fail "):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5, "four columns"
        outside = re.sub(r"`[^`]*`", "", line)
        assert not re.search(r"<(img|b)\b|#123|@e", outside), line
    assert "😀" in text
    SCHEMA.validate(junit(checked, "2026-11-23T12:50:39"))
    assert all(re.fullmatch(r"::error title=[^:,\n]+::[^\n]+", line) for line in annotations(checked))


def test_a_comment_of_a_thousand_changes_is_within_the_size_limit(compared: Compare) -> None:
    before = [
        make_run(f"fda sketch depth=5 width=250 theta=0.3 | cifar10 cnn | iid | K=10 b=32 #{i:06}", 0)
        for i in range(1000)
    ]
    checked = compared(before, [replace(run, sync_steps="x", syncs=9) for run in before])
    text = pr_comment(checked)
    assert len(text) < 65_536
    assert "and 890 more: `fdabench check --output-format csv` has all" in text


def test_the_last_line_of_a_comment_states_that_nothing_changed(compared: Compare) -> None:
    runs = [make_run("a", seed) for seed in range(3)]
    assert pr_comment(compared(runs, runs)).endswith("\n\n<!-- fdabench check: unchanged -->\n")
    better = [replace(run, bytes_to={"0.9": 30_000}) for run in runs]
    assert "unchanged -->" not in pr_comment(compared(runs, better))
    assert "unchanged -->" not in pr_comment(compared(runs, runs[:2]))


def test_annotations_and_junit_state_the_limit() -> None:
    limit = Finding("limit", Verdict.fail, "a", 0, "max_bytes", 30_000.0, 31_000, note="past a limit")
    message = "max_bytes: 31.0 kB, the limit is 30.0 kB"
    checked = CheckResult("s", "its own limits", (limit,))
    assert annotations(checked) == [f"::error title=fdabench%3A a::a: {message}"]
    assert f'message="{message}"' in junit(checked, "2026-11-23T12:50:39")


@pytest.mark.parametrize("width", [50, 80])
def test_a_terminal_shows_every_number_without_truncation(fifteen: CheckResult, width: int) -> None:
    lines = [line.plain for line in render_findings(cell_rows(fifteen), width)]
    assert lines[0] == "fail  a | b 00  a | b 00 0", "a block for each cell, as in the order of what is worst"
    assert lines[1] == "  syncs 0 -> 1"
    assert all(len(line) <= width for line in lines)
    assert not any("…" in line for line in lines)
    assert sum(line.startswith(("fail", "better", "inconclusive")) for line in lines) == 17


def test_annotations_have_the_syntax_of_the_runner(compared: Compare) -> None:
    """One for each strategy, at most ten errors, and the last ones are for what is told of all."""
    before = [make_run(f"s{i:02} | b", 0, bytes_to={"0.9": 40_000}) for i in range(20)]
    after = [replace(run, syncs=i + 1) for i, run in enumerate(before[:15])]
    better, unsure = replace(before[15], bytes_to={"0.9": 30_000}), replace(before[16], accuracy=0.89)
    lines = annotations(compared(before, [*after, better, unsure, *before[17:19]]))
    assert all(re.fullmatch(r"::(error|warning|notice) title=[^:,\n]+::[^\n]+", line) for line in lines)
    errors = [line for line in lines if line.startswith("::error")]
    assert (len(errors), "9 more strategies" in errors[7], "1 missing" in errors[8]) == (9, True, True)
    unsure, better = [line for line in lines if not line.startswith("::error")]
    assert unsure.startswith(
        "::warning title=fdabench%3A s16::s16: bytes unchanged; accuracy -1.0 points (noise unknown "
    )
    assert better.startswith(
        "::notice title=fdabench%3A s15::s15: bytes unchanged; bytes to 90 %25: 40.0 kB -> 30.0 kB"
    )


def test_junit_is_valid_by_its_schema_and_has_correct_counts(fifteen: CheckResult) -> None:
    for checked in (fifteen, replace(fifteen, strict=True)):
        text = junit(checked, "2026-11-23T12:50:39")
        SCHEMA.validate(text)
        root = ET.fromstring(text)
        (suite,) = root
        actual = {tag: len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped")}
        message = {
            tag: int(suite.attrib[key]) for tag, key in zip(actual, ("failures", "errors", "skipped"), strict=True)
        }
        assert message == actual
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        assert actual == {"failure": 15 + checked.strict, "error": 1, "skipped": 1 - checked.strict}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])


def test_the_junit_schema_refuses_invalid_documents(fifteen: CheckResult) -> None:
    good = junit(fifteen, "2026-11-23T12:50:39")
    for was, made in (("<properties />", ""), ('time="0"', ""), ("12:50:39", "12:50:39+00:00"), ("failure", "failed")):
        assert was in good
        assert not SCHEMA.is_valid(good.replace(was, made))


def test_names_of_test_cases_are_unique(fifteen: CheckResult) -> None:
    names = [case.attrib["name"] for case in ET.fromstring(junit(fifteen, "2026-11-23T12:50:39")).iter("testcase")]
    assert len(set(names)) == len(names)


def test_a_comment_is_short_when_nothing_changed(compared: Compare) -> None:
    runs: list[Any] = [make_run("a", 0)]
    text = pr_comment(compared(runs, runs))
    assert text.startswith("### fdabench: 1 run compared: pass\n")
    assert "| verdict |" not in text
    assert annotations(compared(runs, runs)) == []
