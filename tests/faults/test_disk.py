"""A disk that is full, read-only or missing: one message, exit 2, and finished cells are kept.

Disks are tmpfs of our own, in a mount namespace that goes with its process; root heeds no file modes.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from errno import ENOENT, ENOSPC
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

import fdabench
from fdabench.cli.exit_codes import with_exit_codes
from fdabench.errors import WorkloadError
from fdabench.execution.shared_data import export_datasets
from fdabench.results.folder import ResultsFolder

NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-ec")
RESULTS = Path("results/hurt")
RUN = "$PY -m fdabench run hurt.toml --jobs 1 --device cpu"
OnDisk = Callable[[str], subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    folder = str(Path(fdabench.__file__).parents[1])
    return os.environ | {"PYTHONPATH": folder, "CUDA_VISIBLE_DEVICES": "", "PY": sys.executable}


def may_mount() -> bool:
    try:
        return not subprocess.run([*NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True).returncode
    except FileNotFoundError:
        return False


@pytest.fixture
def on_a_disk(stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnDisk:
    """Call a script in a folder with the suite and its results, where it may mount what it likes."""
    if not may_mount():
        pytest.skip("mounting a disk of one's own is not permitted here")
    shutil.copytree(stopped.folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return lambda script: subprocess.run(
        [*NAMESPACE, script], env=environment(), capture_output=True, text=True, timeout=300
    )


def message_of(result: subprocess.CompletedProcess[str]) -> str:
    """The one message of a program that ended with exit 2."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    (message,) = [line for line in result.stderr.splitlines() if line.startswith("fdabench: ")]
    return message


def states(root: Path) -> list[tuple[str, int]]:
    store = ResultsFolder(root)
    records = [store.read_record(cell.id) for cell in store.read_lock().cell]
    return [(record.state, record.attempts) if record else ("pending", 0) for record in records]


@pytest.mark.slow
def test_a_full_disk_is_reported_and_finished_cells_are_kept(on_a_disk: OnDisk) -> None:
    """There is room for one cell and a little."""
    shutil.rmtree(RESULTS)
    small = "mkdir disk; mount -t tmpfs -o size=60k tmpfs disk; "
    result = on_a_disk(f"{small} {RUN} -o disk || code=$?; cp -a disk kept; exit $code")
    assert message_of(result).endswith("cannot be written: No space left on device")
    assert states(Path("kept"))[0] == ("done", 1)
    assert ("done", 1) not in states(Path("kept"))[2:]
    assert [path for path in Path("kept").rglob(".*") if path.name != ".leases"] == [], "half a file"
    result = subprocess.run(
        ["sh", "-c", f"{RUN} -o kept"], env=environment(), capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert " 1 done | 2 to run" in result.stderr
    assert {state for state, _ in states(Path("kept"))} == {"done"}


@pytest.mark.slow
def test_a_read_only_folder_is_read_and_not_written(on_a_disk: OnDisk, stopped: Any) -> None:
    mounted = f"mount --bind {RESULTS} {RESULTS}; mount -o remount,bind,ro {RESULTS}; "
    message = message_of(on_a_disk(mounted + RUN))
    assert "cannot be written: Read-only file system" in message
    commands = (f"status {RESULTS}", f"show {RESULTS} {stopped.done}", "plan hurt.toml", f"report {RESULTS}")
    result = on_a_disk(mounted + "; ".join(f"$PY -m fdabench {command}" for command in commands))
    assert result.returncode == 0, result.stderr
    assert "runs.parquet: cannot be written: Read-only file system" in result.stderr
    assert Path("reports/hurt/index.html").exists()


@pytest.mark.slow
def test_a_folder_that_vanishes_is_reported_and_running_cells_are_kept(stopped: Any, tmp_path: Path) -> None:
    shutil.copy(stopped.folder / "hurt.toml", tmp_path)
    command = ["sh", "-c", f"exec {RUN} --set budget.steps=200000"]
    pipe = subprocess.PIPE
    program = subprocess.Popen(command, cwd=tmp_path, env=environment(), text=True, stdout=pipe, stderr=pipe)
    while program.poll() is None and not list(tmp_path.glob("results/hurt/cells/*/cell.json")):
        time.sleep(0.05)
    # the run goes on writing there, so that a folder may gain a file while it is removed
    while (tmp_path / RESULTS).exists():
        shutil.rmtree(tmp_path / RESULTS, ignore_errors=True)
    program.terminate()
    _, err = program.communicate(timeout=60)
    output = subprocess.CompletedProcess(command, program.returncode, "", err)
    assert message_of(output) == "fdabench: results/hurt: no results here: there is no suite.lock.toml"
    assert [path.parent.name for path in tmp_path.glob("results/hurt/cells/*/cell.json")] == [
        path.parent.name for path in tmp_path.glob("results/hurt/cells/*/checkpoint.pt")
    ]


def test_a_missing_temporary_folder_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("fdabench.execution.shared_data.gettempdir", none)
    with (
        pytest.raises(WorkloadError, match=r"the data cannot be written: No usable temporary directory.*; set TMPDIR"),
        export_datasets({}),
    ):
        raise AssertionError


def test_an_internal_error_is_reported_without_space_for_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**names: str) -> NoReturn:
        raise OSError(ENOSPC, "No space left on device")

    @with_exit_codes
    def broken() -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(typer.Exit) as caught:
        broken()
    assert caught.value.exit_code == 70
    assert capsys.readouterr().err == (
        "fdabench: this is a bug in fdabench; the traceback cannot be written (No space left on device): "
        "ZeroDivisionError: by nothing\n"
    )
