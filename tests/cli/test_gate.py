"""`fdabench baseline` and `fdabench check`: their output and exit codes."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

InProcess = Callable[..., Any]


@pytest.fixture
def saved(here: InProcess, finished: Any) -> Path:
    """A baseline of the tiny suite, in the current folder of the program."""
    result = here("baseline", "save", finished.results, "-o", "b.toml")
    assert (result.exit_code, result.stdout) == (0, "b.toml: 2 runs of tiny; commit this file\n")
    return Path("b.toml")


@pytest.fixture
def changed(saved: Path) -> Path:
    """A baseline in which the second sync of FDA is one step earlier, with its bytes and its hash."""
    text = saved.read_text()
    (syncs,) = re.findall(r'first_syncs = "\d+ [\d.]+, (\d+) ', text)
    text = re.sub(r'(first_syncs = "\d+ [\d.]+, )\d+ ', rf"\g<1>{int(syncs) - 1} ", text)
    text = re.sub(r'(cell = "fda[^\n]*seed = [^\n]*sync_steps = )"\w+"', r'\1"0123456789ab"', text)
    fewer = re.sub(r'(cell = "fda[^\n]*seed = [^\n]*?bytes_total = )(\d+)', lambda m: f"{m[1]}{int(m[2]) - 100}", text)
    saved.write_text(fewer)
    return saved


def test_results_compared_with_themselves_pass(here: InProcess, saved: Path, finished: Any) -> None:
    result = here("check", finished.results, "--baseline", saved)
    assert result.exit_code == 0
    *classes, last = result.stdout.splitlines()
    assert [line[:2] for line in classes] == ["A ", "B ", "C "]
    assert all(re.fullmatch(r".{15} \d+ unchanged( \(exact\))?", line) for line in classes)
    assert last == "tiny against b.toml: 2 runs compared: pass"


def test_a_change_is_shown_explained_and_refused_until_it_is_accepted(
    here: InProcess, changed: Path, finished: Any
) -> None:
    result = here("check", finished.results, "--baseline", changed, "--why")
    assert result.exit_code == 1
    sentence, quiet, _, header, row, *lines = result.stdout.splitlines()
    assert re.fullmatch(r"fda linear: \+0\.0\d+ % bytes in 1 of 1 run \(limit 0 %\); accuracy unchanged", sentence)
    assert quiet == "unchanged: synchronous (1 run)"
    assert header.split() == ["verdict", "cell", "run", "what", "changed"]
    assert row.startswith("fail     fda linear theta=0.3 | digits mlp | dirichlet(1) | K=2 b=32  ")
    assert ": more than allowed (0 %); syncs happen at other steps" in row
    (run,) = re.findall(r"  ([0-9a-f]{12})  ", row)
    assert f"inspect: fdabench show {Path(finished.results).as_posix()} {run}" in result.stderr
    assert here("show", finished.results, run).exit_code == 0
    assert any(
        re.search(r": sync 2: step (\d+) -> (\d+), estimate 0\.3\d+ -> 0\.3\d+ \(theta 0\.3\)", x) for x in lines
    )
    assert lines[-1] == "tiny against b.toml: 2 runs compared: fail: 1 cell of fda linear"
    assert "fdabench baseline accept" in result.stderr

    result = here("baseline", "accept", finished.results, "--baseline", changed, "--reason", "it is right")
    assert (result.exit_code, result.stdout) == (0, "b.toml: 1 run changed; commit this file\n")
    assert here("check", finished.results, "--baseline", changed).exit_code == 0
    shown = here("baseline", "show", changed)
    assert len(shown.stdout.splitlines()) == 3
    assert "1 run: it is right" in shown.stderr
    result = here("baseline", "accept", finished.results, "--baseline", changed, "--reason", "again")
    assert (result.exit_code, result.stdout) == (0, "b.toml: no value differs; the file is unchanged\n")


def test_accept_needs_a_reason(here: InProcess, changed: Path, finished: Any) -> None:
    before = changed.read_text()
    assert here("baseline", "accept", finished.results, "--baseline", changed).exit_code == 2
    result = here("baseline", "accept", finished.results, "--baseline", changed, "--reason", "")
    assert (result.exit_code, "--reason is empty" in result.stderr) == (2, True)
    assert changed.read_text() == before


def test_save_does_not_lose_a_history(here: InProcess, saved: Path, finished: Any) -> None:
    before = saved.read_text()
    result = here("baseline", "save", finished.results, "-o", saved)
    assert (result.exit_code, "keeps the history" in result.stderr, saved.read_text()) == (2, True, before)
    assert here("baseline", "save", finished.results, "-o", saved, "--force").exit_code == 0


def test_json_and_csv_have_every_finding_in_full(here: InProcess, changed: Path, finished: Any) -> None:
    actual = json.loads(here("check", finished.results, "--baseline", changed, "--output-format", "json").stdout)
    assert (actual["verdict"], actual["exit_code"]) == ("fail", 1)
    assert {item["metric"] for item in actual["findings"]} == {"sync_steps", "bytes_total"}
    assert {item["change"] for item in actual["findings"] if item["metric"] == "bytes_total"} != {None}
    assert actual["counts"]["A"] == {"unchanged": sum(actual["counts"]["A"].values())}
    rows = csv.DictReader(
        io.StringIO(here("check", finished.results, "--baseline", changed, "--output-format", "csv").stdout)
    )
    (total, _) = actual["findings"]
    (row, steps) = rows
    assert (row["class"], row["verdict"], row["metric"]) == ("B", "fail", "bytes_total")
    assert (int(row["before"]), int(row["after"])) == (total["before"], total["after"]), "numbers in full"
    assert float(row["change"]) == total["change"]
    assert (steps["metric"], steps["change"]) == ("sync_steps", "")
    quiet = here("check", finished.results, "--against", finished.results, "--output-format", "csv")
    assert quiet.stdout.split(",")[:2] == ["class", "verdict"]
    assert quiet.stdout.strip().split(",") == list(row)
    shown = json.loads(here("baseline", "show", changed, "--output-format", "json").stdout)
    assert [(run["seed"], run["steps"], type(run["bytes_total"])) for run in shown] == [(0, 30, int)] * 2


def test_why_states_that_no_sync_differs(here: InProcess, saved: Path, finished: Any) -> None:
    result = here("check", finished.results, "--baseline", saved, "--why")
    assert result.stdout.startswith("all syncs are at the same steps\nA formula ")


def test_github_gets_annotations_and_a_summary_of_the_step(
    here: InProcess, changed: Path, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("step.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    result = here("check", finished.results, "--baseline", changed, "--output-format", "github")
    assert (result.exit_code, result.stdout.count("::error ")) == (1, 1)
    assert Path("step.md").read_text().startswith("before\n### fdabench: 2 runs compared: fail")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert here("check", finished.results, "--baseline", changed, "--output-format", "github").exit_code == 1


@pytest.mark.parametrize(
    ("form", "start"),
    [("junit", "<?xml "), ("markdown", "### fdabench: 2 runs compared: fail"), ("rich", "fda linear: +0.0")],
)
def test_check_writes_each_output_format(here: InProcess, changed: Path, finished: Any, form: str, start: str) -> None:
    result = here("check", finished.results, "--baseline", changed, "--output-format", form)
    assert result.exit_code == 1
    assert result.stdout.startswith(start)


def test_two_results_folders_are_compared_without_a_baseline_file(here: InProcess, finished: Any, saved: Path) -> None:
    result = here("check", finished.results, "--against", finished.results)
    assert (result.exit_code, result.stdout.splitlines()[-1][-6:]) == (0, ": pass")
    both = here("check", finished.results, "--against", finished.results, "--baseline", saved)
    assert (both.exit_code, "--baseline and --against are both given" in both.stderr) == (2, True)


def test_a_suite_without_targets_can_be_checked(here: InProcess) -> None:
    suite = Path("tiny.toml")
    suite.write_text(re.sub("targets = .*", "", suite.read_text()))
    assert here("run", suite, "-o", "out", "-j", "1", "-q", "--set", "budget.steps=4").exit_code == 0
    assert here("baseline", "save", "out", "-o", "b.toml").exit_code == 0
    result = here("check", "out", "--baseline", "b.toml")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "tiny against b.toml: 2 runs compared: pass")
    assert here("check", "out", "--against", "out").exit_code == 0
    assert here("compare", "out", "out").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 4, "nothing to compare with: give --baseline FILE"),
        (("--baseline", "absent.toml"), 4, "absent.toml: this file does not exist"),
        (("--baseline", "tiny.toml"), 4, 'tiny.toml: not a baseline: it has no schema; this fdabench reads "2"'),
        (("--against", "nowhere"), 2, "nowhere: no results here"),
    ],
)
def test_a_gate_without_comparable_runs_fails(
    here: InProcess, finished: Any, arguments: tuple[str, ...], code: int, message: str
) -> None:
    actual = here("check", finished.results, *arguments)
    assert (actual.exit_code, actual.stdout) == (code, "")
    assert message in actual.stderr


def test_github_gets_an_annotation_that_nothing_was_compared(here: InProcess, finished: Any) -> None:
    result = here("check", finished.results, "--baseline", "absent.toml", "--output-format", "github")
    assert result.exit_code == 4
    assert result.stdout.startswith("::error title=fdabench%3A not compared::absent.toml: this file does not exist")
    assert len(result.stdout.splitlines()) == 1


def test_results_of_another_schema_fail_the_gate(here: InProcess, saved: Path) -> None:
    Path("old").mkdir()
    (Path("old") / "suite.lock.toml").write_text('schema = "0"\n')
    assert here("check", "old", "--baseline", saved).exit_code == 4
    assert here("check", "absent", "--baseline", saved).exit_code == 2


def test_a_step_summary_that_cannot_be_written_changes_no_verdict(
    here: InProcess, changed: Path, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("step.md").mkdir()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    result = here("check", finished.results, "--baseline", changed, "--output-format", "github")
    assert result.exit_code == 1
    assert (
        "GITHUB_STEP_SUMMARY: step.md: cannot be written: Is a directory; the summary is not written" in result.stderr
    )


def test_an_improvement_passes_and_suggests_to_accept_it(here: InProcess, saved: Path, finished: Any) -> None:
    saved.write_text(re.sub(r'(cell = "fda[^\n]*seed = .*?bytes_total = )(\d+)', r"\g<1>9\2", saved.read_text()))
    result = here("check", finished.results, "--baseline", saved)
    assert result.exit_code == 0
    assert "to keep the improvement: fdabench baseline accept" in result.stderr


def test_a_changed_limit_of_the_suite_is_applied_without_training_again(here: InProcess) -> None:
    suite = Path("tiny.toml")
    text = suite.read_text()
    limit = '\n[[gate.limit]]\nstrategy = "fda"\ntarget = 0.3\nmax_bytes_to_target = {}\n'
    for bytes_allowed, code in ((1e9, 0), (1e3, 1)):
        suite.write_text(text + limit.format(bytes_allowed))
        ran = here("run", suite, "-o", "out", "-j", "1", "-q")
        assert ran.exit_code == 0
        result = here("check", "out")
        assert result.exit_code == code, result.output
    assert "fda linear: max_bytes_to_target (30 %): " in result.stdout
    assert here("baseline", "save", "out", "-o", "b.toml").exit_code == 0
    result = here("check", "out", "--baseline", "b.toml")
    assert (result.exit_code, "accept" in result.stderr) == (1, False), "to accept the results would not help"
    assert json.loads(next(Path("out").glob("cells/*/cell.json")).read_text())["attempts"] == 1


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("soft = .*", "soft = nan", "gate.soft: expected a finite number, found nan"),
        ("soft = .*", "sofd = 0.1", 'one_seed_margins, limit; did you mean "soft"?'),
        (
            "soft = .*",
            "soft = 0.0\n[[gate.limit]]\nmax_bytes = 'x'\ncells = []",
            'gate.limit.0.max_bytes: expected a number, found "x"',
        ),
        (r"\[gate\](?s:.*?)\n\n", "gate = 3\n", "gate: expected a table"),
    ],
)
def test_margins_that_were_edited_in_the_results_are_refused(
    here: InProcess, finished: Any, saved: Path, was: str, becomes: str, message: str
) -> None:
    shutil.copytree(finished.results, "edited")
    lock = Path("edited/suite.lock.toml")
    lock.write_text(re.sub(was, becomes, lock.read_text(), count=1))
    actual = here("check", "edited", "--baseline", saved)
    assert (actual.exit_code, actual.stdout) == (4, "")
    assert message in actual.stderr


def test_an_invalid_limit_is_refused_with_its_line(here: InProcess) -> None:
    suite = Path("tiny.toml")
    suite.write_text(suite.read_text() + ["\n[[gate.limit]]\nmax_byte = 3\n", "\nmargin = 1\n"][0])
    result = here("validate", suite)
    assert result.exit_code == 2
    assert 'max_steps_to_target; did you mean "max_bytes"?' in result.stderr
    suite.write_text(suite.read_text().replace("max_byte = 3", "target = 0.5\nmax_bytes_to_target = 3"))
    assert "\ngate.limit.0.target: 0.5 is not among eval.targets (0.3, 0.99)" in here("validate", suite).stderr


def test_output_formats_for_verdicts_are_refused_by_commands_without_a_verdict(here: InProcess) -> None:
    result = here("list", "models", "--output-format", "junit")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'junit' is not one of 'auto', 'rich', 'plain', 'json', 'csv', 'markdown'" in result.stderr
