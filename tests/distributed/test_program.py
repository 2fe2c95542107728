"""The program over several processes: it writes the tables of the simulation, and handles lost processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pandas as pd
import pytest

import fdabench
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from support.launch import wait_until

WORKLOAD = """
[[workload]]
dataset = "digits"
model = "mlp"
workers = {workers}
batch_size = 16
optimizer = {{ kind = "adam", lr = 1e-3 }}
partition = {{ kind = "dirichlet", alpha = 0.5 }}
"""
EVERY_STRATEGY = """
name = "everyone"
[budget]
steps = 24
[eval]
every_steps = 8
targets = [0.3, 0.99]
{workload}
[[strategy]]
kind = "synchronous"
[[strategy]]
kind = "fedavg"
local_epochs = 0.25
[[strategy]]
kind = "fedadam"
local_steps = 5
[[strategy]]
kind = "fedavgm"
local_steps = 7
[[strategy]]
kind = "fda"
monitor = ["naive", "linear", {{ kind = "sketch", depth = 3, width = 50 }}, "exact"]
theta = 0.3
"""
LONG = """
name = "long"
[budget]
steps = 800
[eval]
every_steps = 200
targets = [0.3]
{workload}
[[strategy]]
kind = "fda"
monitor = "linear"
theta = 0.3
"""
PLUGGED = """
name = "plugged"
plugins = ["mine.py"]
[budget]
steps = 12
[eval]
every_steps = 6
targets = [0.3]
{workload}
[[strategy]]
kind = "mine"
[[strategy]]
kind = "synchronous"
"""
BRANCHES = '''
from dataclasses import dataclass
from os import getpid

import torch

from fdabench.api import Average, StepResult, SyncRule, initial_round, synchronize

FIRST = 3


@dataclass(frozen=True)
class Mine:
    """{says}"""

    def init(self, w_D):
        return initial_round(w_D, SyncRule(Average()))

    def step(self, ctx, r, channel):
        if {condition}:
            {then}
        return StepResult(ctx.w_KD, r, False)


STRATEGIES = {{"mine": Mine}}
'''

Call = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


def environment(**variables: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(fdabench.__file__).parents[1])} | variables


def called(folder: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return partial(called, tmp_path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one process that others must equal: every strategy with 5 workers, and a longer run with 3."""
    folder = tmp_path_factory.mktemp("alone")
    for name, text, workers in (("everyone", EVERY_STRATEGY, 5), ("long", LONG, 3)):
        suite(folder, text, workers)
        done = called(folder, "fdabench", "run", "suite.toml", "-o", name)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[subprocess.Popen[str]] = []

    def initial_round(*arguments: object, module: str | None = "fdabench") -> subprocess.Popen[str]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = [sys.executable, "-m", *([module] if module else []), *map(str, arguments)]
        programs.append(subprocess.Popen(command, cwd=tmp_path, env=environment(), start_new_session=True, **pipes))
        return programs[-1]

    yield initial_round
    for program in programs:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()


def records(folder: Path) -> dict[str, CellRecord]:
    """The records of cells by the label of their strategy."""
    store = ResultsFolder(folder)
    cells = (store.read_record(cell.id) for cell in store.read_lock().cell)
    return {cell.label: cell for cell in cells if cell is not None}


def tables(folder: Path, record: CellRecord) -> dict[str, pd.DataFrame]:
    actual = {name: ResultsFolder(folder).read_cell_table(record.id, name).to_pandas() for name in TABLES}
    return {name: table.drop(columns=[*CLOCK_COLUMNS], errors="ignore") for name, table in actual.items()}


def assert_same_results(one: Path, other: Path) -> None:
    ones, others = records(one), records(other)
    assert ones.keys() == others.keys()
    assert ones
    for label, record in ones.items():
        assert record.state == others[label].state == "done", label
        actual, expected = tables(one, record), tables(other, others[label])
        for name in TABLES:
            pd.testing.assert_frame_equal(actual[name], expected[name], check_exact=True, obj=f"{label}: {name}")


def suite(tmp_path: Path, text: str, workers: int) -> Path:
    path = tmp_path / "suite.toml"
    path.write_text(text.format(workload=WORKLOAD.format(workers=workers)))
    return path


def followers(program: subprocess.Popen[str]) -> list[int]:
    """The processes of a cell except the first, which is the leader."""
    return cell_processes(program)[1:]


def cell_processes(program: subprocess.Popen[str]) -> list[int]:
    """The processes of a cell in the order of their start. multiprocessing's server is their parent."""
    servers = [pid for pid in children(program.pid) if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return sorted(pid for server in servers for pid in children(server))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_checkpoint(folder: Path) -> bool:
    return any(folder.glob("cells/*/checkpoint.pt"))


SLOW = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=SLOW), pytest.param(1, marks=SLOW)])
def test_every_strategy_writes_the_tables_of_the_simulation(
    call: Call, alone: Path, tmp_path: Path, processes: int
) -> None:
    suite(tmp_path, EVERY_STRATEGY, 5)
    spread = call("fdabench", "run", "suite.toml", "-o", "spread", "--engine", "distributed", "--processes", processes)
    assert spread.returncode == 0, spread.stderr
    assert_same_results(alone / "everyone", tmp_path / "spread")
    shapes = {(item.engine, item.processes, item.mean) for item in records(tmp_path / "spread").values()}
    assert shapes == {("distributed", processes, "ordered")}


@pytest.mark.slow
def test_torchrun_writes_the_tables_of_the_simulation(call: Call, alone: Path, tmp_path: Path) -> None:
    suite(tmp_path, EVERY_STRATEGY, 5)
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "fdabench", "run", "suite.toml")
    for _ in range(2):  # the second time there is nothing to do
        done = call(*torchrun, "-o", "spread", "--engine", "distributed")
        assert done.returncode == 0, done.stderr
    assert_same_results(alone / "everyone", tmp_path / "spread")
    assert {item.attempts for item in records(tmp_path / "spread").values()} == {1}


@pytest.mark.slow
def test_torchrun_runs_several_suites_and_stops_them_in_order(call: Call, start: Start, tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text(LONG.format(workload=WORKLOAD.format(workers=3)).replace("800", "50"))
    (tmp_path / "short.toml").write_text((tmp_path / "short.toml").read_text().replace('"long"', '"short"'))
    suite(tmp_path, LONG.replace("800", "200000"), 3)
    arguments = ("run", "short.toml", "suite.toml", "-o", "spread", "--engine", "distributed")
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "fdabench")
    program = start(*torchrun, *arguments, module=None)
    wait_until(lambda: any((tmp_path / "spread" / "long").glob("cells/*/cell.json")))
    sleep(3)
    os.kill(program.pid, signal.SIGTERM)
    output = program.communicate(timeout=60)[0]
    assert "terminated; to continue: " in output, output
    (short,), (long,) = (records(tmp_path / "spread" / name).values() for name in ("short", "long"))
    assert (short.state, long.state) == ("done", "interrupted")
    assert has_checkpoint(tmp_path / "spread" / "long")


@pytest.mark.slow
def test_the_backends_sums_have_the_same_syncs_and_nearly_the_same_numbers(
    call: Call, alone: Path, tmp_path: Path
) -> None:
    suite(tmp_path, EVERY_STRATEGY, 5)
    arguments = ("--engine", "distributed", "--processes", "2", "--reduction", "allreduce", "--network-interface", "lo")
    assert call("fdabench", "run", "suite.toml", "-o", "spread", *arguments).returncode == 0
    ones, others = records(alone / "everyone"), records(tmp_path / "spread")
    for label, record in ones.items():
        actual, expected = tables(alone / "everyone", record), tables(tmp_path / "spread", others[label])
        pd.testing.assert_frame_equal(actual["ledger"], expected["ledger"])
        assert actual["rounds"]["step"].tolist() == expected["rounds"]["step"].tolist()
        # a sum of five terms is rounded otherwise by 2^-24 of its size; 24 steps of Adam at 1e-3 make little of that
        assert (actual["evals"]["test_loss"] - expected["evals"]["test_loss"]).abs().max() < 1e-4
    assert call("fdabench", "report", "spread", "-o", "told").returncode == 0
    message = pd.read_csv(tmp_path / "told" / "tables" / "traffic.csv")
    assert len(message) == 12  # models of eight strategies, states of four
    # other programs use the loopback as well; where nothing else does, test_distributed_wire compares to 1 %
    received = message[message["kind"] == "model"]["received_bytes"]
    assert ((received >= 0) | received.isna()).all()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["a follower", "the leader"])
def test_a_killed_process_ends_the_others_and_the_cell_is_resumed(
    call: Call, start: Start, alone: Path, tmp_path: Path, victim: str
) -> None:
    suite(tmp_path, LONG, 3)
    arguments = ("run", "suite.toml", "-o", "spread", "--engine", "distributed", "--processes", "3", "--jobs", "1")
    program = start(*arguments, "--checkpoint-every", "0.3s")
    wait_until(lambda: has_checkpoint(tmp_path / "spread"))
    os.kill(cell_processes(program)[0 if victim == "the leader" else 1], signal.SIGKILL)
    output = program.communicate(timeout=60)[0]
    assert program.returncode == 3, output
    (lost,) = records(tmp_path / "spread").values()
    assert lost.state == "lost"
    assert ("rank 1 of 3" if victim == "a follower" else "signal 9") in lost.error
    goes_on = call("fdabench", *arguments)
    assert goes_on.returncode == 0, goes_on.stdout + goes_on.stderr
    (done,) = records(tmp_path / "spread").values()
    assert done.resumed_at_step > 0
    assert_same_results(alone / "long", tmp_path / "spread")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["a follower", "the leader"])
def test_a_stopped_process_is_named_and_no_process_waits_forever(start: Start, tmp_path: Path, victim: str) -> None:
    suite(tmp_path, LONG, 3)
    arguments = ("run", "suite.toml", "-o", "spread", "--engine", "distributed", "--processes", "3", "--timeout", "4s")
    program = start(*arguments, "--checkpoint-every", "0.3s")
    wait_until(lambda: has_checkpoint(tmp_path / "spread"))
    os.kill(cell_processes(program)[0 if victim == "the leader" else 2], signal.SIGSTOP)
    stopped = monotonic()
    output = program.communicate(timeout=120)[0]
    assert program.returncode == 3, output
    assert monotonic() - stopped < 60
    (lost,) = records(tmp_path / "spread").values()
    assert (lost.state, "rank 2 of 3" in lost.error or victim == "the leader") == ("lost", True)
    assert has_checkpoint(tmp_path / "spread")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_processes_leaves_a_checkpoint_from_which_one_process_resumes(
    call: Call, start: Start, alone: Path, tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    suite(tmp_path, LONG, 3)
    program = start("run", "suite.toml", "-o", "spread", "--engine", "distributed", "--processes", "2")
    wait_until(lambda: len(cell_processes(program)) == 2 and any((tmp_path / "spread").glob("cells/*/cell.json")))
    sleep(1)
    os.killpg(program.pid, number)
    output = program.communicate(timeout=60)[0]
    assert program.returncode == exit_code, output
    assert has_checkpoint(tmp_path / "spread")
    assert call("fdabench", "run", "suite.toml", "-o", "spread").returncode == 0
    (done,) = records(tmp_path / "spread").values()
    assert (done.resumed_at_step > 0, done.engine) == (True, "sequential")
    assert_same_results(alone / "long", tmp_path / "spread")


def plugged(tmp_path: Path, condition: str, then: str) -> None:
    suite(tmp_path, PLUGGED, 2)
    text = BRANCHES.format(says="It branches.", condition=condition, then=then)
    (tmp_path / "mine.py").write_text(text)


@pytest.mark.slow
def test_a_strategy_that_branches_on_its_local_workers_is_named(call: Call, tmp_path: Path) -> None:
    # the first worker's weights are not the second one's
    first_rank = "ctx.t == FIRST and torch.distributed.get_rank() == 0"
    plugged(tmp_path, first_rank, "return synchronize(ctx, r, SyncRule(Average()), channel)")
    arguments = ("run", "suite.toml", "-o", "spread", "--engine", "distributed", "--processes", "2")
    done = call("fdabench", *arguments, FDABENCH_CHECK="1")
    assert done.returncode == 3
    actual = {record.config.strategy.kind: record for record in records(tmp_path / "spread").values()}
    assert actual["synchronous"].state == "done"
    assert actual["mine"].state == "failed"
    assert "'mine' takes different branches in the ranks: rank 0: step 4: averages" in actual["mine"].error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("condition", "error", "reported"),
    [
        ("torch.distributed.get_rank() == 1", "not with me", ("rank 1 of 2", "ValueError: not with me")),
        ("True", "with nobody", ("mine.py", "ValueError: with nobody")),
    ],
    ids=["one process", "every process"],
)
def test_an_exception_of_a_strategy_ends_its_cell_only_and_names_the_cause(
    call: Call, tmp_path: Path, condition: str, error: str, reported: tuple[str, str]
) -> None:
    plugged(tmp_path, f"ctx.t == FIRST and {condition}", f"raise ValueError({error!r})")
    done = call("fdabench", "run", "suite.toml", "-o", "spread", "--engine", "distributed", "--processes", "2")
    assert done.returncode == 3
    actual = {record.config.strategy.kind: record for record in records(tmp_path / "spread").values()}
    assert (actual["synchronous"].state, actual["mine"].state) == ("done", "failed")
    assert all(text in actual["mine"].error for text in reported)
