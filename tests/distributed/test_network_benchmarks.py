"""The benchmarks on network namespaces stop all processes of a run when one of them fails. No namespace is needed."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

import fdabench
from support.launch import wait_until

sys.path.insert(0, str(Path(fdabench.__file__).parents[1] / "benchmarks"))

from namespaces import SHOWN_LINES, Process, start_process, stop_all, wait_for_all

Start = Callable[..., list[Process]]
SLEEP = "import time; time.sleep(600)"
FAIL = f"import sys; print(*range({SHOWN_LINES + 1}), sep='\\n'); sys.exit('no data set')"
IGNORE_SIGTERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('set', flush=True); "


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a process for each program text, in rank order."""
    processes: list[Process] = []

    def start_all(*programs: str) -> list[Process]:
        for rank, program in enumerate(programs):
            processes.append(start_process([sys.executable, "-c", program], tmp_path / f"rank-{rank}.log"))
        return processes

    yield start_all
    stop_all(processes, grace_s=0)


def exit_codes(processes: list[Process]) -> list[int | None]:
    return [process.popen.returncode for process in processes]


def test_processes_that_succeed_raise_nothing(start: Start) -> None:
    # more output than a pipe holds, from the rank that is waited for last
    processes = start("print('a')", f"print('b' * {1 << 20})")
    wait_for_all(processes, 60)
    assert exit_codes(processes) == [0, 0]
    assert processes[1].output.stat().st_size > 1 << 20


def test_a_failed_process_is_named_and_the_others_are_terminated(start: Start) -> None:
    processes, begin = start(SLEEP, FAIL, SLEEP), monotonic()
    with pytest.raises(RuntimeError) as caught:
        wait_for_all(processes, 600)
    assert monotonic() - begin < 60
    assert exit_codes(processes) == [-signal.SIGTERM, 1, -signal.SIGTERM]
    header, *lines = str(caught.value).splitlines()
    assert header == f"rank 1 ended with exit code 1; last lines of {processes[1].output}:"
    assert lines == [*(str(number) for number in range(2, SHOWN_LINES + 1)), "no data set"]


def test_a_process_that_ignores_sigterm_is_killed(start: Start) -> None:
    processes = start(IGNORE_SIGTERM + SLEEP, SLEEP)
    wait_until(lambda: processes[0].output.read_bytes() == b"set\n")
    processes[1].popen.kill()
    with pytest.raises(RuntimeError, match="rank 1 ended with exit code -9"):
        wait_for_all(processes, 600, grace_s=0.2)
    assert exit_codes(processes) == [-signal.SIGKILL, -signal.SIGKILL]


def test_processes_that_run_for_too_long_are_named_and_stopped(start: Start) -> None:
    processes = start(SLEEP, "pass", SLEEP)
    processes[1].popen.wait()
    with pytest.raises(TimeoutError, match=r"still running after 0\.2 s: rank 0, 2$"):
        wait_for_all(processes, 0.2)
    assert exit_codes(processes) == [-signal.SIGTERM, 0, -signal.SIGTERM]
