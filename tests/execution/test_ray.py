"""`fdabench run --executor ray`: on a local Ray cluster of two nodes, one of which is killed; and refused options."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import uuid4

import pandas as pd
import pytest

import fdabench
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from support.suites import SKETCH_FDA, SYNCHRONOUS, digits_suite

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'fdabench[ray]'")

SUITE = digits_suite(
    [SYNCHRONOUS, SKETCH_FDA],
    name="far",
    steps=400,
    every_steps=100,
    targets=[0.9],
    workers=3,
    head="seeds = [0, 1, 2]",
)
CLOCKS = ("started", "ended", "wall_s", "process", "attempts")
MARK = "FDABENCH_TEST_RAY"


class Cluster(NamedTuple):
    """A head and another node, each with one processor."""

    address: str
    head: str
    other: str
    """What their processes have in their environment."""


def marked(mark: str, words: str = "") -> list[int]:
    """The processes that were started with this mark, and with these words in their command line."""
    actual = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            own = f"{MARK}={mark}".encode() in (path / "environ").read_bytes().split(b"\0")
            if own and words.encode() in (path / "cmdline").read_bytes():
                actual.append(int(path.name))
    return actual


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def variables(**more: str) -> dict[str, str]:
    folder = str(Path(fdabench.__file__).parents[1])
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": folder}
    stored = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    return stored | quiet | more


def start_node(mark: str, *arguments: str) -> None:
    common = ["--num-cpus", "1", "--object-store-memory", "80000000", "--memory", "3000000000", "--disable-usage-stats"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, *common]
    done = subprocess.run(command, env=variables(**{MARK: mark}), capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster whose processes have a mark in their environment, by which they are all ended after the test."""
    marks = uuid4().hex, uuid4().hex
    # a short path: sockets have no room for more
    with TemporaryDirectory(dir="/tmp", prefix="ray-") as folder:
        try:
            port = free_port()
            start_node(marks[0], "--head", "--port", str(port), "--include-dashboard=false", "--temp-dir", folder)
            address = f"{node_ip(marks[0])}:{port}"
            start_node(marks[1], "--address", address)
            yield Cluster(address, *marks)
        finally:
            for mark in marks * 2:
                for pid in marked(mark):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(1)


def node_ip(mark: str) -> str:
    (raylet, *_) = marked(mark, "raylet/raylet")
    words = Path(f"/proc/{raylet}/cmdline").read_bytes().decode().split("\0")
    return next(word.partition("=")[2] for word in words if word.startswith("--node_ip_address="))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fdabench", "run", "far.toml", "--device", "cpu", *arguments]


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=folder, env=variables(), capture_output=True, text=True, timeout=600, check=False
    )


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    # a shell in the background has what it starts ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        command(*arguments), cwd=folder, env=variables(), stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def records(results: Path) -> list[CellRecord]:
    actual = [ResultsFolder(results).read_record(path.parent.name) for path in results.glob("cells/*/cell.json")]
    return [record for record in actual if record is not None]


def wait_until_under_way(results: Path, count: int) -> None:
    deadline = time.monotonic() + 240
    while sum(record.state == "interrupted" for record in records(results)) < count:
        assert time.monotonic() < deadline, records(results)
        time.sleep(0.05)


def assert_same_results(left: Path, right: Path) -> None:
    """Tables are equal to the last bit, and records except for clocks and the number of attempts."""
    for cell in ResultsFolder(left).read_lock().cell:
        for name in TABLES:
            file = f"cells/{cell.id}/{name}.parquet"
            frames = [
                pd.read_parquet(root / file).drop(columns=[*CLOCK_COLUMNS], errors="ignore") for root in (left, right)
            ]
            pd.testing.assert_frame_equal(*frames, check_exact=True, obj=file)
        actual, own = (ResultsFolder(root).read_record(cell.id) for root in (left, right))
        assert actual is not None
        assert own is not None
        assert actual.to_dict().keys() == own.to_dict().keys()
        assert {key: value for key, value in actual.to_dict().items() if key not in CLOCKS} == {
            key: value for key, value in own.to_dict().items() if key not in CLOCKS
        }


@pytest.mark.slow
@needs_ray
def test_a_killed_node_changes_no_result(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "far.toml").write_text(SUITE)
    program = begin(tmp_path, "--executor", "ray", "--ray-address", cluster.address, "-o", "far")
    try:
        wait_until_under_way(tmp_path / "far", 2)
        for pid in marked(cluster.other, "raylet/raylet"):
            os.kill(pid, signal.SIGKILL)
        out, err = program.communicate(timeout=400)
    finally:
        program.kill()
    assert program.returncode == 0, err
    assert "the node or the process of this cell died; the cell is started again" in err
    assert out.startswith("90 %: ")
    assert "Traceback" not in err
    assert sorted(record.attempts for record in records(tmp_path / "far")) == [1, 1, 1, 1, 1, 2]
    assert call(tmp_path, "-o", "near", "--jobs", "1").returncode == 0
    assert_same_results(tmp_path / "far", tmp_path / "near")
    for root in ("far", "near"):
        runs = pd.read_parquet(tmp_path / root / "runs.parquet").drop(columns=[*CLOCK_COLUMNS])
        assert set(runs["state"]) == {"done"}


@pytest.mark.slow
@needs_ray
def test_a_stopped_run_resumes_without_ray_and_impossible_options_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "far.toml").write_text(SUITE)
    on_ray = ("--executor", "ray", "--ray-address", cluster.address)
    result = call(tmp_path, *on_ray, "--threads", "4", "-o", "never")
    assert result.returncode == 2, result.stderr
    assert "no node has enough resources for 6 cells: Synchronous" in result.stderr
    assert not (tmp_path / "never").exists()
    longer = ("--set", "budget.steps=3000", "--set", "eval.every_steps=1000", "-k", "s0", "-o", "out")
    program = begin(tmp_path, *on_ray, *longer)
    try:
        wait_until_under_way(tmp_path / "out", 2)
        time.sleep(1)
        os.killpg(program.pid, signal.SIGINT)
        _, err = program.communicate(timeout=120)
    finally:
        program.kill()
    assert program.returncode == 130, err
    assert "stopping: running cells stop at their next step" in err
    assert err.splitlines()[-1].startswith("fdabench: interrupted; to continue: fdabench run far.toml")
    stored = {record.id: record for record in records(tmp_path / "out")}
    assert [record.state for record in stored.values()] == ["interrupted"] * 2
    assert all(ResultsFolder(tmp_path / "out").checkpoint_path(str(cell_id)).exists() for cell_id in stored)
    assert call(tmp_path, *longer, "--jobs", "1").returncode == 0
    for record in records(tmp_path / "out"):
        before = stored[record.id]
        assert (record.state, record.attempts) == ("done", 2)
        assert record.resumed_at_step == before.steps != 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--executor", "rai"), '--executor rai: expected processes or ray; did you mean "ray"?'),
        (("--ray-address", "a:1"), "--ray-address a:1: this option requires --executor ray"),
    ],
)
def test_impossible_options_are_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    (tmp_path / "far.toml").write_text(SUITE)
    result = call(tmp_path, *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert os.listdir(tmp_path) == ["far.toml"]


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_error_states_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "far.toml").write_text(SUITE)
    result = call(tmp_path, "--executor", "ray")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith("Ray is not installed here: pip install 'fdabench[ray]'\n")
    assert os.listdir(tmp_path) == ["far.toml"]


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "6379", "a:b"])
def test_without_a_cluster_the_error_is_raised_immediately(tmp_path: Path, address: str) -> None:
    (tmp_path / "far.toml").write_text(SUITE)
    result = call(tmp_path, "--executor", "ray", "--ray-address", address)
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert f"--executor ray: no cluster at {address}: " in result.stderr
    assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == ["far.toml"]


@pytest.mark.slow
@needs_ray
def test_another_server_at_the_address_is_reported_as_no_cluster(tmp_path: Path) -> None:
    (tmp_path / "far.toml").write_text(SUITE)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = call(tmp_path, "--executor", "ray", "--ray-address", address)
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert f"no cluster at {address}: something listens there that is not the head of a Ray cluster" in result.stderr
