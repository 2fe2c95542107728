"""Leases of cells: one process trains a cell, and a lease without a heartbeat expires."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fdabench.errors import ResultError
from fdabench.execution.lease import EXPIRY_S, Lease, discard_checkpoints
from fdabench.execution.shared_data import export_datasets, load_datasets
from fdabench.results.folder import ResultsFolder

HOLD = """
import sys
from pathlib import Path
from fdabench.results.folder import ResultsFolder
from fdabench.execution.lease import Lease
lease = Lease(ResultsFolder(Path(sys.argv[1])), "a")
print(lease.acquire(), flush=True)
sys.stdin.read()
"""


def held_by(root: Path, host: str, silent_s: float) -> Path:
    """Write the lease of a process on another host, whose locks are not visible here."""
    path = root / ".leases" / "a.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": host, "pid": 1}))
    os.utime(path, (time.time() - silent_s, time.time() - silent_s))
    return path


def test_a_lease_has_one_owner_and_can_be_acquired_after_its_release(tmp_path: Path) -> None:
    store = ResultsFolder(tmp_path)
    first, second, other = Lease(store, "a"), Lease(store, "a"), Lease(store, "b")
    assert first.acquire()
    assert not second.acquire()
    assert other.acquire()
    holder = json.loads((tmp_path / ".leases" / "a.json").read_text())
    assert holder["pid"] == os.getpid()
    first.release()
    assert second.acquire()
    second.release()
    assert [path.name for path in (tmp_path / ".leases").glob("a*")] == ["a.lock"]


def test_a_lease_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    assert not Lease(ResultsFolder(tmp_path), "a").acquire()
    holder.kill()
    holder.communicate()
    assert Lease(ResultsFolder(tmp_path), "a").acquire()


@pytest.mark.parametrize(
    ("host", "silent_s", "free"),
    [
        ("elsewhere", 1.0, False),
        ("elsewhere", EXPIRY_S - 20, False),
        ("elsewhere", EXPIRY_S + 20, True),
        (platform.node(), 1.0, True),
    ],
)
def test_a_lease_of_another_host_is_respected_until_its_heartbeat_stops(
    tmp_path: Path, host: str, silent_s: float, free: bool
) -> None:
    """One on this host is not: its lock would be seen."""
    held_by(tmp_path, host, silent_s)
    assert Lease(ResultsFolder(tmp_path), "a").acquire() is free
    assert Lease(ResultsFolder(tmp_path), "a").acquire() is free, "the first did not keep what it did not get"


def test_a_heartbeat_refreshes_the_lease(tmp_path: Path) -> None:
    lease = Lease(ResultsFolder(tmp_path), "a")
    assert lease.acquire()
    path = held_by(tmp_path, "elsewhere", EXPIRY_S + 20)
    lease.refresh()
    assert time.time() - path.stat().st_mtime < 60


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pid": 3}'])
def test_a_damaged_lease_file_does_not_block_runs_forever(tmp_path: Path, content: str) -> None:
    path = held_by(tmp_path, "elsewhere", EXPIRY_S + 20)
    stamp = path.stat().st_mtime
    path.write_text(content)
    os.utime(path, (stamp, stamp))
    assert Lease(ResultsFolder(tmp_path), "a").acquire()


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".leases").write_text("a file where a folder should be")
    with pytest.raises(ResultError, match=r"\.leases.* cannot be written"):
        Lease(ResultsFolder(tmp_path), "a").acquire()


def test_checkpoints_are_discarded_except_those_in_use(tmp_path: Path) -> None:
    store = ResultsFolder(tmp_path)
    for cell_id in ("a", "b"):
        store.cell_dir(cell_id).mkdir(parents=True)
        store.checkpoint_path(cell_id).write_bytes(b"")
    actual = Lease(store, "a")
    assert actual.acquire()
    discard_checkpoints(["a", "b", "c"], store)
    assert [store.checkpoint_path(cell_id).exists() for cell_id in ("a", "b")] == [True, False]


def test_the_next_run_removes_the_data_files_of_a_killed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that of a run that lives stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / "fdabench-data-dead"
    dead.mkdir()
    (dead / "digits.pt").write_bytes(b"1")
    (tmp_path / "fdabench-data-dead.lock").write_bytes(b"")
    digits = load_datasets(["digits"], tmp_path)
    with export_datasets(digits) as one, export_datasets(digits) as other:
        assert not dead.exists()
        assert one != other
        assert (one / "digits.pt").exists()
    assert list(tmp_path.iterdir()) == []
