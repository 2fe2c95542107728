"""`report`, `merge` and `baseline accept`, killed at random moments: every file is whole or as it was before."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import fdabench

MOMENTS: Mapping[str, int] = {"report": 6, "merge": 10, "accept": 10}
"""Kills of each command: half of them at any time, half of them while it writes. A report takes longest."""
WRITES_S = 0.05
"""About as long as a report takes to write its files."""
RUN = ("run", "hurt.toml", "-j", "1", "--device", "cpu", "-q", "-o")


def call(folder: Path, arguments: Sequence[str]) -> "subprocess.Popen[str]":
    base_folder = str(Path(fdabench.__file__).parents[1])
    variables = os.environ | {"PYTHONPATH": base_folder, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "fdabench", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=variables, text=True, stdout=pipe, stderr=pipe)


def ends_well(folder: Path, *arguments: str) -> float:
    """Check that a program succeeds, and return its seconds."""
    start = time.monotonic()
    program = call(folder, arguments)
    _, err = program.communicate(timeout=120)
    assert program.returncode == 0, err
    return time.monotonic() - start


def contents(root: Path) -> dict[str, bytes]:
    """The content of all files except temporary ones, which begin with a dot."""
    if root.is_file():
        return {"": root.read_bytes()}
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    }


def wait_for_files(program: "subprocess.Popen[str]", folder: Path) -> None:
    """Wait until a file or a folder is added to the existing ones."""
    before = os.listdir(folder)
    while program.poll() is None and os.listdir(folder) == before:
        time.sleep(0.0005)


@pytest.fixture(scope="module")
def finished(stopped: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two results folders of one suite, and a baseline with other settings, so that `accept` must change it."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copy(stopped.folder / "hurt.toml", folder)
    ends_well(folder, *RUN, "a", "--seeds", "0")
    ends_well(folder, *RUN, "b", "--seeds", "1")
    ends_well(folder, *RUN, "other", "--seeds", "0", "--set", "workload.0.optimizer.lr=0.2")
    ends_well(folder, "baseline", "save", "other", "-o", "baseline.toml")
    return folder


CASES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "report": (("report", "a", "-o", "out"), "out"),
    "merge": (("merge", "a", "b", "-o", "out"), "out"),
    "accept": (("baseline", "accept", "a", "--baseline", "baseline.toml", "--reason", "lr"), "baseline.toml"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_process_killed_while_writing_leaves_complete_files(finished: Path, tmp_path: Path, name: str) -> None:
    arguments, written = CASES[name]
    whole = tmp_path / "whole"
    shutil.copytree(finished, whole)
    length = ends_well(whole, *arguments)
    expected, inputs = contents(whole / written), contents(finished)
    assert expected != contents(finished / written)
    rng, partial = random.Random(name), 0
    again = 0
    for trial in range(MOMENTS[name]):
        folder = tmp_path / str(trial)
        shutil.copytree(finished, folder)
        before = contents(folder / written)
        program = call(folder, arguments)
        if trial % 2:
            time.sleep(rng.uniform(0, length))
        else:
            wait_for_files(program, folder)
            time.sleep(rng.uniform(0, WRITES_S))
        program.kill()
        program.communicate(timeout=60)
        actual = contents(folder / written)
        for path, content in actual.items():
            assert content in (before.get(path), expected[path]), f"{path} after {trial}"
        if name == "report" and "index.html" in actual:
            # it names the others
            assert actual.keys() == expected.keys()
        if name == "merge":
            assert actual in ({}, expected)
        assert {path: contents(folder).get(path) for path in ("a/suite.lock.toml", "b/suite.lock.toml")} == {
            path: inputs[path] for path in ("a/suite.lock.toml", "b/suite.lock.toml")
        }
        partial += actual not in (before, expected)
        # where nothing was begun, a second call is a first one
        if actual != expected and sorted(os.listdir(folder)) != sorted(os.listdir(finished)):
            ends_well(folder, *arguments)
            assert contents(folder / written) == expected
            again += 1
        shutil.rmtree(folder)
    print(
        f"{name}: {MOMENTS[name]} kills within {length:.1f} s, {partial} of them between two files, {again} made again"
    )
