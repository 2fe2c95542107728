"""Shards and runs of other seeds become one results folder, or nothing is written; and the documented job array."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fdabench.cli.option_values import parse_shard
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.load import load, write_derived
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.suite.reader import read_suite
from support.cells import run_cell
from support.digits_results import make_record
from support.suites import read_files

InProcess = Callable[..., Any]
CHANGES = ("budget.steps=4", "eval.every_steps=2")
QUICK = ("--device", "cpu", "--jobs", "1", "--set", CHANGES[0], "--set", CHANGES[1])
PAGE = (Path(__file__).parents[3] / "docs" / "clusters.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory, finished: Any) -> Path:
    """`one` and `two` are the shards of `whole`, and `other` has another seed; tests do not change them."""
    folder = tmp_path_factory.mktemp("parts")
    options = {"whole": ("1/1", ()), "one": ("1/2", ()), "two": ("2/2", ()), "other": ("1/1", ("seeds=[7]",))}
    for name, (share, more) in options.items():
        suite, store = read_suite(finished.folder / "tiny.toml", [*CHANGES, *more]), ResultsFolder(folder / name)
        store.write_lock(suite.to_lock().with_changes({"source": "tiny.toml"}))
        for cell in parse_shard(suite.cells, share):
            run_cell(cell, store)
        write_derived(load(store.root))
    return folder


@pytest.fixture
def copies(parts: Path, here: InProcess) -> Callable[..., list[Path]]:
    """Copy results folders of `parts` into the current folder of the program."""
    return lambda *names: [Path(shutil.copytree(parts / name, name)) for name in names]


def cell_ids(root: Path) -> list[str]:
    return [cell.id for cell in ResultsFolder(root).read_lock().cell]


def change_record(root: Path, cell_id: str, **changes: Any) -> None:
    store = ResultsFolder(root)
    record = store.read_record(cell_id)
    assert record is not None
    store.write_record(record.with_changes(changes))


def assert_same_results(left: Path, right: Path) -> None:
    """The frozen suites have equal text, and all tables equal bits except clock columns."""
    assert (left / "suite.lock.toml").read_text() == (right / "suite.lock.toml").read_text()
    files = [f"cells/{cell_id}/{name}.parquet" for cell_id in cell_ids(left) for name in TABLES]
    for file in [*files, "runs.parquet", "targets.parquet"]:
        one, other = (
            pd.read_parquet(root / file).drop(columns=[*CLOCK_COLUMNS], errors="ignore") for root in (left, right)
        )
        pd.testing.assert_frame_equal(one, other, check_exact=True, obj=file)


def test_shards_become_the_results_of_one_run(copies: Any, here: InProcess) -> None:
    one, two, whole = copies("one", "two", "whole")
    crossed = {"step": 1, "kind": "model", "count": 1, "payload_bytes": 4, "predicted_bytes": 8, "received_bytes": 9}
    ResultsFolder(one).write_tables(cell_ids(one)[0], {"traffic": [{**crossed, "seconds": 0.1}]}, "{}")
    before = {**read_files(one), **{f"two/{name}": text for name, text in read_files(two).items()}}
    result = here("merge", one, two, "-o", "out/joined")
    assert (result.exit_code, result.stdout) == (0, "out/joined: 2 cells of tiny from 2 folders: 2 done\n"), (
        result.output
    )
    assert_same_results(Path("out/joined"), whole)
    for root, at in ((one, 0), (two, 1)):
        path = f"cells/{cell_ids(whole)[at]}/cell.json"
        assert (Path("out/joined") / path).read_bytes() == (root / path).read_bytes()
    wire = f"cells/{cell_ids(whole)[0]}/traffic.parquet"
    assert Path("out/joined", wire).read_bytes() == (one / wire).read_bytes()
    assert before == {**read_files(one), **{f"two/{name}": text for name, text in read_files(two).items()}}
    assert os.listdir("out") == ["joined"]


def test_a_merged_folder_can_be_reported_and_resumed(copies: Any, here: InProcess) -> None:
    assert here("merge", *copies("one", "two"), "-o", "joined").exit_code == 0
    assert here("report", "joined", "-o", "page").exit_code == 0
    result = here("run", "tiny.toml", "-o", "joined", *QUICK)
    assert result.exit_code == 0, result.output
    assert " 2 done | 0 to run" in result.stderr


def test_runs_of_other_seeds_are_joined_as_if_run_at_once(copies: Any, here: InProcess) -> None:
    """The folder is that of a run of both seeds, also in the overrides that it tells."""
    whole, other = copies("whole", "other")
    assert here("merge", whole, other, "-o", "joined").exit_code == 0
    suite = read_suite(Path("tiny.toml"), [*CHANGES, "seeds=[0, 7]"])
    ResultsFolder(Path("expected")).write_lock(suite.to_lock())
    assert Path("joined/suite.lock.toml").read_text() == Path("expected/suite.lock.toml").read_text()
    runs = pd.read_parquet("joined/runs.parquet")
    assert list(zip(runs["label"], runs["seed"], runs["state"], strict=True)) == [
        (label, seed, "done") for label in ("Synchronous", "LinearFDA") for seed in (0, 7)
    ]


@pytest.mark.parametrize("order", [("one", "other"), ("other", "one")])
@pytest.mark.parametrize(
    ("state", "against", "used"),
    [
        ("lost", "done", "done"),
        ("interrupted", "done", "done"),
        ("failed", "done", "done"),
        ("interrupted", "failed", "failed"),
        ("interrupted", "lost", "lost"),
    ],
)
def test_a_merge_uses_the_most_complete_record_of_a_cell(
    parts: Path, here: InProcess, order: tuple[str, str], state: str, against: str, used: str
) -> None:
    for name, item in zip(order, (state, against), strict=True):
        shutil.copytree(parts / "whole", name)
        change_record(Path(name), cell_ids(Path(name))[0], state=item, attempts=7 if item == used else 3)
    assert here("merge", "one", "other", "-o", "joined").exit_code == 0
    record = ResultsFolder(Path("joined")).read_record(cell_ids(Path("joined"))[0])
    assert record is not None
    assert (record.state, record.attempts) == (used, 7)


def test_a_cell_whose_process_died_before_its_first_message_is_merged(parts: Path, here: InProcess) -> None:
    """Its record is the least that there is."""
    for name in ("one", "other"):
        shutil.copytree(parts / "whole", name)
    cell = ResultsFolder(Path("one")).read_lock().cell[0]
    ResultsFolder(Path("one")).write_record(make_record(cell.id, "lost", config=cell.config))
    assert here("merge", "one", "other", "-o", "joined").stdout.endswith("2 done\n")


def test_of_interrupted_cells_the_checkpoint_with_more_steps_is_merged(parts: Path, here: InProcess) -> None:
    for name, steps in (("near", 2), ("far", 3)):
        shutil.copytree(parts / "whole", name)
        cell_id = cell_ids(Path(name))[0]
        change_record(Path(name), cell_id, state="interrupted", steps=steps)
        ResultsFolder(Path(name)).checkpoint_path(cell_id).write_text(name)
    assert here("merge", "near", "far", "-o", "joined").exit_code == 0
    assert ResultsFolder(Path("joined")).checkpoint_path(cell_id).read_text() == "far"
    assert {path.name for path in ResultsFolder(Path("joined")).cell_dir(cell_id).iterdir()} == {
        "cell.json",
        "checkpoint.pt",
    }


def test_different_numbers_of_the_same_cell_are_refused_with_its_name(copies: Any, here: InProcess) -> None:
    """Clocks may differ: `one` and `whole` were run at different times."""
    one, two, whole = copies("one", "two", "whole")
    first, second = cell_ids(whole)
    store = ResultsFolder(whole)
    evals = store.read_cell_table(first, "evals").to_pylist()
    evals[1]["test_accuracy"] = 0.5
    store.write_tables(first, {"evals": evals}, "{}")
    change_record(whole, second, code={"engine": "other"})
    result = here("merge", one, two, whole, "-o", "joined")
    assert result.exit_code == 2
    accuracy, code = result.stderr.splitlines()
    assert re.fullmatch(
        rf"fdabench: cell {first} \(Synchronous\): one and whole differ: "
        r"evals: test_accuracy in row 1 is [\d.]+ and 0\.5",
        accuracy,
    )
    assert re.match(rf"cell {second} \(LinearFDA\): two and whole ran different code: .*engine", code)
    assert not Path("joined").exists()


def test_all_damaged_or_foreign_folders_are_reported_at_once_and_nothing_is_written(
    copies: Any, here: InProcess
) -> None:
    one, two, other = copies("one", "two", "other")
    (two / "cells" / cell_ids(two)[1] / "rounds.parquet").write_bytes(b"not a table")
    lock = other / "suite.lock.toml"
    lock.write_text(lock.read_text().replace("[\n    0.3,", "[\n    0.4,"))
    shutil.copytree(one, "strange")
    strange = Path("strange/suite.lock.toml")
    strange.write_text(strange.read_text().replace('suite = "tiny"', 'suite = "huge"'))
    shutil.copytree(one, "mixed")
    first = cell_ids(one)[0]
    record = ResultsFolder(one).read_record(first)
    assert record is not None
    change_record(Path("mixed"), first, config=record.config.with_changes({"seed": 1}))
    before = sorted(os.listdir("."))
    result = here("merge", one, two, other, "strange", "mixed", "nowhere", "-o", "joined")
    assert result.exit_code == 2
    damaged, mixed, missing, targets, suite = result.stderr.splitlines()
    assert damaged.startswith("fdabench: two/cells/")
    assert "rounds.parquet: not a readable Parquet file" in damaged
    assert mixed.endswith("cell.json belongs to another cell than suite.lock.toml lists")
    assert missing.startswith("nowhere: no results here")
    assert targets == "other: targets is [0.4, 0.99]; in one it is [0.3, 0.99]"
    assert suite == "strange: holds results of the suite 'huge', not 'tiny'"
    assert sorted(os.listdir(".")) == before


def test_a_merge_refuses_results_of_another_grid(copies: Any, here: InProcess) -> None:
    (whole,) = copies("whole")
    added = ("--set", "strategy.1.theta=2.0", "--seeds", "7")
    assert here("run", "tiny.toml", "-o", "theta", *QUICK, *added, "--shard", "1/2").exit_code == 0
    lock = Path("theta/suite.lock.toml")
    lock.write_text(lock.read_text().replace('    "strategy.1.theta=2.0",\n', ""))
    result = here("merge", whole, "theta", "-o", "joined")
    assert result.exit_code == 2
    assert (
        "theta: its grid is not that of whole, whatever the seeds: only whole has LinearFDA on digits" in result.stderr
    )


@pytest.mark.parametrize("damage", ['seeds = "x"', "seeds = 3", "gate = 3", "plugins = 3", "", "overrides = [3]"])
def test_an_invalid_lock_is_refused(copies: Any, here: InProcess, damage: str) -> None:
    one, two = copies("one", "two")
    text = (two / "suite.lock.toml").read_text()
    key = damage.split(" =")[0] or "seeds"
    whole_table = r"\[gate\].*?(?=\n\[\[)" if key == "gate" else rf"^{key} = (\[.*?\]|.*?)$"
    (two / "suite.lock.toml").write_text(damage + "\n" + re.sub(whole_table, "", text, flags=re.MULTILINE | re.DOTALL))
    result = here("merge", one, two, "-o", "joined")
    assert result.exit_code == 2, result.output
    assert re.search(rf"two(/suite\.lock\.toml)?: .*{key}", result.stderr), result.stderr
    assert not Path("joined").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one", "-o", "joined"], "merge: 1 results folder given; give two or more"),
        (["one", "two"], "merge: no new folder is given"),
        (["one", "two", "-o", "two"], "two: already exists; name a new folder"),
        (["one", "two", "-o", "tiny.toml"], "tiny.toml: already exists"),
        (["one", "two", "-o", "tiny.toml/joined"], "tiny.toml/joined: cannot be written"),
    ],
)
def test_folders_that_cannot_be_merged_are_refused_with_exit_2(
    copies: Any, here: InProcess, arguments: list[str], message: str
) -> None:
    copies("one", "two")
    result = here("merge", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert sorted(os.listdir(".")) == ["one", "tiny.toml", "two"]


def test_a_merge_on_a_full_disk_leaves_no_files(copies: Any, here: InProcess) -> None:
    """A real limit on the size of files, in a process of its own."""
    copies("one", "two")
    command = f"ulimit -f 4; {sys.executable} -m fdabench merge one two -o joined"
    folder = str(Path(__file__).parents[3])
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": folder}
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert sorted(os.listdir(".")) == ["one", "tiny.toml", "two"]


@pytest.mark.slow
def test_the_documented_job_array_gives_the_results_of_one_run(parts: Path, here: InProcess, tmp_path: Path) -> None:
    """The script as it stands in the documents, run by bash for each index; then the documented merge."""
    script, merge, *_ = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "fdabench"
    program.write_text(f'#!/bin/bash\nexec {sys.executable} -m fdabench "$@"\n')
    program.chmod(0o755)
    folder = str(Path(__file__).parents[3])
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": folder, "CUDA_VISIBLE_DEVICES": ""}
    arguments = ["tiny.toml", "--device", "cpu", *QUICK[4:]]
    for index in (1, 2):
        slurm = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "1"}
        done = subprocess.run(
            ["bash", "-c", script, "array.sh", *arguments], env=os.environ | path | slurm, check=False
        )
        assert done.returncode == 0
    done = subprocess.run(["bash", "-e", "-c", merge], env=os.environ | path, check=False)
    assert done.returncode == 0
    assert_same_results(Path("results/joined"), parts / "whole")
    assert Path("reports/tiny/index.html").exists()


def test_a_job_whose_time_is_up_is_requeued(here: InProcess, tmp_path: Path) -> None:
    script = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
    for name, text in (("fdabench", "exit 75"), ("scontrol", 'echo "$@"')):
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_JOB_ID": "4711"}
    variables = os.environ | slurm | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (75, "requeue 4711\n")


def test_the_records_of_a_merge_state_where_each_cell_was_run(copies: Any, here: InProcess) -> None:
    assert here("merge", *copies("one", "two"), "-o", "joined").exit_code == 0
    for path in Path("joined").rglob("cell.json"):
        assert json.loads(path.read_bytes())["process"].keys() == {"host", "pid"}
