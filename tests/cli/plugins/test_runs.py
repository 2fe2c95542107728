"""A user's strategy in runs of the program: loaded, recorded, run again after a change, and reported if invalid."""

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fdabench.results.folder import ResultsFolder
from support.own_plugin import MINE, STEP, Done, plan, refused
from support.suites import replace_text

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]


@pytest.mark.slow
def test_a_strategy_of_a_plugin_runs_in_worker_processes_and_writes_every_file(done: Done, ran: InProcess) -> None:
    assert done.output.returncode == 0, done.output.stderr
    assert "note: own.toml: plug-in mine.py adds strategies.doubling" in done.output.stderr
    runs = pd.read_parquet("results/own/runs.parquet").set_index("label")
    assert runs.loc["doubling", ["state", "strategy", "syncs"]].tolist() == ["done", "doubling", 2]
    cell = runs.loc["doubling", "cell_id"]
    rounds = pd.read_parquet(f"results/own/cells/{cell}/rounds.parquet")
    assert list(rounds["step"]) == [2, 6]
    names = sorted(path.name for path in done.folder.iterdir())
    assert names == ["mine.py", "own.toml", "results"], "nothing is written beside a user's file"
    lock = tomllib.loads(Path("results/own/suite.lock.toml").read_text())
    record = json.loads(Path(f"results/own/cells/{cell}/cell.json").read_text())
    (locked,) = lock["plugins"]
    assert (locked["name"], locked["adds"]) == ("mine.py", ["strategies.doubling"])
    assert locked["code"] == {key: record["code"][key] for key in ("plug-in mine.py",)}
    other = json.loads(Path(f"results/own/cells/{runs.loc['Synchronous', 'cell_id']}/cell.json").read_text())
    assert "plug-in mine.py" not in other["code"]
    assert {"core/strategy.py", "servers/average.py"} <= set(record["code"])


@pytest.mark.slow
def test_a_cell_is_run_again_after_a_change_of_plugin_code_and_not_of_comments(ran: InProcess) -> None:
    assert plan(ran) == {"Synchronous": ("done", ""), "doubling": ("done", "")}
    replace_text("mine.py", STEP, "        # a remark\n\n" + STEP)
    replace_text("mine.py", "Sync after `first` steps", "Other words")
    assert plan(ran) == {"Synchronous": ("done", ""), "doubling": ("done", "")}
    before = next(iter(tomllib.loads(Path("results/own/suite.lock.toml").read_text())["plugins"][0]["code"].values()))
    replace_text("mine.py", "t + 1 <", "t <")
    actual = plan(ran)
    assert actual["Synchronous"] == ("done", "")
    status, why = actual["doubling"]
    assert status == "stale"
    assert why.startswith(f"plug-in mine.py changed ({before} -> ")
    result = ran("run", "own.toml", "--jobs", "1", "--device", "cpu")
    assert " 1 done | 1 stale: plug-in mine.py changed | 0 to run" in result.stderr
    assert "[1/1] done  doubling" in result.stderr
    assert plan(ran)["doubling"] == ("done", "")


def test_a_change_of_a_builtin_file_and_of_torch_are_named_too(ran: InProcess) -> None:
    store = ResultsFolder(Path("results/own"))
    cells = {cell.label: cell.id for cell in store.read_lock().cell}
    record = store.read_record(cells["doubling"])
    assert record is not None
    now = record.code["servers/average.py"]
    store.write_record(record.with_changes({"code": record.code | {"servers/average.py": "0" * 16}}))
    assert plan(ran)["doubling"] == ("stale", f"servers/average.py changed ({'0' * 16} -> {now})")
    store.write_record(record.with_changes({"environment": record.environment | {"torch": "1.0"}}))
    assert plan(ran)["doubling"][1].startswith("torch 1.0 -> ")


@pytest.mark.slow
def test_results_are_read_without_the_plugin(ran: InProcess) -> None:
    """Also where the file is gone, and where it would raise."""
    cell = ResultsFolder(Path("results/own")).read_lock().cell[1].id
    for ruin in ("raise SystemExit('never run this')", None):
        if ruin:
            Path("mine.py").write_text(ruin)
        else:
            os.unlink("mine.py")
        for arguments in (["status"], ["show", cell], ["report"]):
            command, *rest = arguments
            assert ran(command, "results/own", *rest).exit_code == 0
        assert "published numbers has a counterpart" in ran("compare", "results/own", "--published").stderr
    assert "doubling" in Path("reports/own/summary.md").read_text()


def test_a_strategy_that_raises_fails_its_cell_and_the_output_names_the_users_line(own: InProcess) -> None:
    """So does one that returns nothing or changes the models in place, where no line of theirs is under way, and one
    that would end the program.
    """
    bodies = {
        "Raises": "raise ValueError('I give up\\nreally')",
        "Silent": "return None",
        "Exits": "exit(3)",
        "Quits": "raise type('Quit', (BaseException,), {})('no more')",
        "Meddles": "ctx.w_KD.zero_(); return super().step(ctx, r, channel)",
    }
    for name, body in bodies.items():
        with Path("mine.py").open("a") as file:
            file.write(f"\n\nclass {name}(Doubling):\n    def step(self, ctx, r, channel):\n        {body}\n")
            file.write(f"\n\nSTRATEGIES['{name.lower()}'] = {name}\n")
        with Path("own.toml").open("a") as file:
            file.write(f'\n[[strategy]]\nkind = "{name.lower()}"\nfirst = 2\n')
    result = own("run", "own.toml", "--jobs", "1", "--device", "cpu", "-q")
    assert result.exit_code == 3, result.output
    runs = pd.read_parquet("results/own/runs.parquet").set_index("label")
    failed = {label for label, state in runs["state"].items() if state == "failed"}
    assert (failed, set(runs["state"])) == ({name.lower() for name in bodies}, {"failed", "done"})
    lines = result.stderr[result.stderr.index("failed") :].splitlines()
    assert len(lines) == 15
    message = {title.split()[1]: cause.strip() for title, cause in zip(lines[::3], lines[1::3], strict=True)}
    place = {name: Path("mine.py").read_text().split(body)[0].count("\n") + 1 for name, body in bodies.items()}
    assert message["raises"] == f"mine.py:{place['Raises']}: really"
    above = {name: line - 1 for name, line in place.items()}
    assert message["silent"] == (
        f"mine.py: TypeError: Silent.step, line {above['Silent']}: must return a StepResult; it returned None"
    )
    assert message["meddles"] == (
        f"mine.py: TypeError: Meddles.step, line {above['Meddles']}: "
        "changed ctx.w_KD in place; it must return new tensors"
    )
    assert message["quits"] == f"mine.py:{place['Quits']}: RuntimeError: Quit: no more ends no cell"
    assert message["exits"] == f"mine.py:{place['Exits']}: RuntimeError: sys.exit(3) ends no cell"
    shown = own("show", "results/own", runs.loc["raises", "cell_id"]).stdout
    assert "Traceback (most recent call last)" in shown
    assert "raise ValueError('I give up" in shown


def test_plugins_of_an_extended_suite_are_relative_to_its_file(own: InProcess) -> None:
    Path("base").mkdir()
    for name in ("own.toml", "mine.py"):
        shutil.move(name, f"base/{name}")
    Path("over.py").write_text(MINE.replace('"doubling"', '"twice"'))
    Path("own.toml").write_text('extends = "base/own.toml"\nplugins = ["over.py", "base/mine.py"]\n')
    result = own("validate", "own.toml")
    assert result.exit_code == 0, result.output
    assert "plug-in base/mine.py adds strategies.doubling" in result.stderr
    assert "plug-in over.py adds strategies.twice" in result.stderr
    replace_text("base/mine.py", "class Doubling:", "class Doubling")
    assert "base/own.toml:3: plugins.0: base/mine.py:10: SyntaxError" in refused(own)


def test_without_a_named_plugin_no_user_code_is_run(own: InProcess) -> None:
    """Files of the names that Python itself looks for are in the folder, too."""
    for name in ("mine.py", "conftest.py", "sitecustomize.py", "torch.py", "fdabench_plugin.py"):
        Path(name).write_text("open('ran', 'w').close()\n")
    for arguments in (["validate"], ["plan"], ["cite"], ["run", "-q", "--jobs", "1", "--device", "cpu"]):
        assert own(*arguments, "tiny.toml").exit_code == 0
    assert own("validate", "--plugins", "own.toml").stdout.splitlines()[1].split() == [
        "mine.py",
        "own.toml:",
        "plugins.0",
    ]
    assert not Path("ran").exists()
    own("validate", "own.toml")
    assert Path("ran").exists()
    assert "only a suite's file names plug-ins" in refused(own, "plan", "tiny.toml", "--set", 'plugins=["mine.py"]')


def test_text_that_a_plugin_prints_does_not_change_the_result(own: InProcess) -> None:
    replace_text("mine.py", "STRATEGIES", "print('hello')\nSTRATEGIES")
    assert plan(own)["doubling"] == ("to run", "")
