"""Every command with valid and invalid arguments and with a failed cell, on a terminal, in a pipe and as JSON."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fdabench.results.folder import ResultsFolder

# many calls in one process: each costs what it does and not what it imports
CALLS = """
import json, sys
from fdabench.cli.main import app

for line in open("calls.json"):
    sys.argv = ["fdabench", *json.loads(line)]
    code = None
    try:
        app()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in {sys.stdout, sys.stderr}:
        stream.write(f"[[end {code}]]")
        stream.flush()
"""
OK: dict[str, list[str]] = {
    "run": ["tiny.toml", "-o", "done"],
    "plan": ["tiny.toml", "-o", "done"],
    "validate": ["tiny.toml"],
    "status": ["done"],
    "show": ["done"],
    "show cell": ["done", "CELL"],
    "show words": ["done", "LinearFDA", "dirichlet(1)", "s0"],
    "init": ["begin.toml", "--workload", "digits"],  # without an option it asks, on a terminal
    "report": ["done", "-o", "reports"],
    "compare": ["done", "done"],
    "check": ["done", "--against", "done"],
    "baseline save": ["done", "-o", "new.toml", "--force"],
    "baseline accept": ["done", "--baseline", "new.toml", "--reason", "because"],
    "baseline show": ["new.toml"],
    "list": ["strategies"],
    "cite": ["tiny.toml"],
    "merge": ["first", "second", "-o", "merged"],
}
BAD: dict[str, list[str]] = {
    "run": ["bad.toml"],
    "plan": ["bad.toml"],
    "validate": ["bad.toml"],
    "status": ["nowhere"],
    "show": ["nowhere"],
    "show cell": ["done", "zzz"],
    "show words": ["done", "digits"],
    "init": ["tiny.toml"],
    "report": ["nowhere"],
    "compare": ["done"],
    "check": ["nowhere"],
    "baseline save": ["nowhere"],
    "baseline accept": ["nowhere", "--baseline", "new.toml", "--reason", "because"],
    "baseline show": ["nowhere.toml"],
    "list": ["nothing"],
    "cite": ["bad.toml"],
    "merge": ["done", "nowhere", "-o", "merged"],
}
FAILED: dict[str, tuple[list[str], int]] = {
    "run": (["tiny.toml", "-o", "failed"], 3),
    "plan": (["tiny.toml", "-o", "failed"], 0),
    "status": (["failed"], 0),
    "show": (["failed"], 0),
    "show cell": (["failed", "CELL"], 0),
    "report": (["failed", "-o", "reports"], 0),
    "compare": (["failed", "done"], 0),
    "check": (["failed", "--against", "done"], 4),
    "baseline save": (["failed", "-o", "other.toml"], 2),
}
JSON = (
    "run",
    "plan",
    "validate",
    "status",
    "show",
    "show cell",
    "show words",
    "compare",
    "check",
    "baseline show",
    "list",
)
"""Commands whose result programs read."""
NO_BASELINE = {"baseline show": 4}
FAULTS_AS_JSON = "validate"
"""The command that tells programs what is wrong, beside what it says to people."""


class Call(NamedTuple):
    """One call of the matrix, with its expected exit code."""

    case: str
    command: str
    arguments: list[str]
    code: int
    form: str


class Said(NamedTuple):
    code: str
    out: str
    err: str


def matrix() -> Iterator[Call]:
    """All calls on a terminal and in a pipe, and as JSON those that support it."""
    for form in ("terminal", "pipe", "json"):
        for command, arguments in OK.items():
            yield Call("ok", command, arguments, 0, form)
        for command, arguments in BAD.items():
            yield Call("bad", command, arguments, NO_BASELINE.get(command, 2), form)
        for command, (arguments, code) in FAILED.items():
            yield Call("failed", command, arguments, code, form)


MATRIX = [call for call in matrix() if call.form != "json" or call.command in JSON]


@pytest.fixture(scope="module")
def folder(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a valid and an invalid suite, and results with and without a failed cell."""
    there = tmp_path_factory.mktemp("matrix")
    suite = (finished.folder / "tiny.toml").read_text()
    (there / "tiny.toml").write_text(suite)
    (there / "bad.toml").write_text(suite.replace("budget", "bugdet"))
    for name in ("done", "failed"):
        shutil.copytree(finished.results, there / name)
    store = ResultsFolder(there / "failed")
    ids = [cell.id for cell in store.read_lock().cell]
    for name, cell_id in zip(("first", "second"), ids, strict=True):
        shutil.copytree(finished.results, there / name, ignore=shutil.ignore_patterns(cell_id))
    cell_id = ids[1]
    record = store.read_record(cell_id)
    assert record is not None
    store.write_record(record.with_changes({"state": "failed", "error": "Traceback\nRuntimeError: no"}))
    return there


@pytest.fixture(scope="module")
def outputs(folder: Path, variables: dict[str, str]) -> dict[tuple[str, str, str], Said]:
    """The output of every call of the matrix, by case, command and form."""
    cell = ResultsFolder(folder / "done").read_lock().cell[1].id
    actual: dict[tuple[str, str, str], Said] = {}
    for terminal in (True, False):
        calls = [call for call in MATRIX if (call.form == "terminal") == terminal]
        lines = []
        for call in calls:
            form = ["--output-format", "json"] if call.form == "json" else []
            arguments = [cell[:8] if item == "CELL" else item for item in call.arguments]
            command = call.command.split()[:1] if call.command.startswith("show ") else call.command.split()
            lines.append(json.dumps([*command, *arguments, *form]))
        shutil.rmtree(folder / "merged", ignore_errors=True)
        (folder / "begin.toml").unlink(missing_ok=True)
        (folder / "calls.json").write_text("\n".join(lines))
        out, err = in_a_terminal(folder, variables) if terminal else in_a_pipe(folder, variables)
        for call, one, other in zip(calls, ends(out), ends(err) if err else ends(out), strict=True):
            actual[call.case, call.command, call.form] = Said(one[1], one[0], other[0])
    return actual


def ends(text: str) -> list[tuple[str, str]]:
    """The output and the exit code of each call."""
    return re.findall(r"(.*?)\[\[end (\w+)\]\]", text, re.DOTALL)


def in_a_pipe(folder: Path, variables: dict[str, str]) -> tuple[str, str]:
    command = [sys.executable, "-c", CALLS]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300)
    return done.stdout, done.stderr


def in_a_terminal(folder: Path, variables: dict[str, str]) -> tuple[str, str]:
    ours, expected = pty.openpty()
    variables = variables | {"TERM": "xterm", "COLUMNS": "200"}
    once = CALLS.replace("{sys.stdout, sys.stderr}", "{sys.stdout}")
    command = [sys.executable, "-c", once]
    program = subprocess.Popen(command, cwd=folder, env=variables, stdin=expected, stdout=expected, stderr=expected)
    os.close(expected)
    text = read_all(ours)
    program.wait(timeout=60)
    return text, ""


def read_all(ours: int) -> str:
    """Read until the other end of the terminal is closed."""
    pieces = []
    try:
        while piece := os.read(ours, 65536):
            pieces.append(piece)
    except OSError:
        # so Linux says that it is closed
        pass
    os.close(ours)
    return b"".join(pieces).decode()


@pytest.mark.parametrize("call", MATRIX, ids=lambda call: f"{call.case} {call.command} {call.form}")
def test_every_command_has_the_documented_exit_code_and_output(
    outputs: dict[tuple[str, str, str], Said], call: Call
) -> None:
    code, out, err = outputs[call.case, call.command, call.form]
    assert code == str(call.code), out + err
    assert "this is a bug in fdabench" not in out + err
    assert call.command == "show cell" or "Traceback" not in out + err
    if call.form != "terminal":
        assert "\x1b" not in out + err
        to_programs = call.form == "json" and call.command == FAULTS_AS_JSON
        assert call.code != 2 or (err and (to_programs or not out)), "why not, to stderr"
    if call.form == "json" and call.code in (0, 1):
        assert json.loads(out)
        assert "NaN" not in out


def test_json_has_numbers_as_numbers_and_lists_in_full(outputs: dict[tuple[str, str, str], Said]) -> None:
    status = json.loads(outputs["failed", "status", "json"].out)
    assert [(row["state"], row["cells"]) for row in status] == [("done", 1), ("failed", 1), ("all", 2)]
    assert status[-1]["which"] == ["Synchronous", "LinearFDA"]
    (failed,) = status[1]["details"]
    assert failed["error"] == "RuntimeError: no"
    assert all(isinstance(row["bytes_least"], int) for row in json.loads(outputs["ok", "plan", "json"].out))
    cell = json.loads(outputs["ok", "show cell", "json"].out)
    assert [type(cell[key]) for key in ("bytes_total", "syncs", "final_accuracy")] == [int, int, float]
    assert [row["step"] for row in cell["evaluations"]] == [10, 20, 30]
    assert cell == json.loads(outputs["ok", "show words", "json"].out)
    good, bad = (json.loads(outputs[case, "validate", "json"].out)[0] for case in ("ok", "bad"))
    assert (good["good"], good["cells"], good["faults"]) == (True, 2, [])
    assert any("bugdet" in fault for fault in bad["faults"])


def test_show_prints_the_conclusion_that_the_run_printed(
    outputs: dict[tuple[str, str, str], Said],
) -> None:
    assert outputs["ok", "show", "pipe"].out == outputs["ok", "run", "pipe"].out
    assert outputs["ok", "show", "json"].out == outputs["ok", "run", "json"].out
    rows = json.loads(outputs["ok", "show", "json"].out)
    assert {row["strategy"] for row in rows} == {"Synchronous", "LinearFDA"}


@pytest.mark.skipif(shutil.which("setsid") is None, reason="setsid gives a program its terminal")
@pytest.mark.usefixtures("heeding_ctrl_c")
def test_ctrl_c_on_a_terminal_stops_with_130(finished: Any, variables: dict[str, str], tmp_path: Path) -> None:
    """As a person presses it: the terminal sends the signal to all that it is the terminal of."""
    shutil.copy(finished.folder / "tiny.toml", tmp_path)
    ours, expected = pty.openpty()
    run = [sys.executable, "-m", "fdabench", "run", "tiny.toml", "-j", "1", "--set", "budget.steps=99999"]
    variables = variables | {"TERM": "xterm"}
    program = subprocess.Popen(
        ["setsid", "--ctty", *run], cwd=tmp_path, env=variables, stdin=expected, stdout=expected, stderr=expected
    )
    os.close(expected)
    while program.poll() is None and not list(tmp_path.glob("results/tiny/cells/*/cell.json")):
        time.sleep(0.05)
    os.write(ours, b"\x03")
    text = read_all(ours)
    assert program.wait(timeout=60) == 130, text
    assert "to continue: fdabench run tiny.toml" in text
    assert "Traceback" not in text
