"""Too little memory at the start, and processes that do not start: one message, and the run ends."""

import errno
import subprocess
import sys
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
import typer

from fdabench.cli.exit_codes import with_exit_codes
from fdabench.errors import WorkloadError
from fdabench.execution import worker_handle as birth
from fdabench.execution.backend import RunContext
from fdabench.execution.local_backend import LocalBackend
from fdabench.execution.scheduler import run_cells
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.results.folder import ResultsFolder
from fdabench.suite.reader import read_suite

RUN = f"exec {sys.executable} -m fdabench run hurt.toml -o out -j 1 --device cpu"


@pytest.mark.parametrize("kilobytes", [1_000_000, 950_000, 500_000])
def test_a_small_address_space_is_reported_before_anything_is_loaded(stopped: Any, kilobytes: int) -> None:
    """With 950,000 kB, OpenBLAS would ask for memory for ever."""
    result = subprocess.run(
        ["sh", "-c", f"ulimit -v {kilobytes}; {RUN}"], cwd=stopped.folder, capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"fdabench: the address space is limited to {kilobytes * 1024 / 1e9:.2f} GB, and fdabench needs at least "
        "1.3 GB; raise the limit, for example with `ulimit -v unlimited`\n"
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_a_memory_error_is_not_reported_as_an_internal_error(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    @with_exit_codes
    def greedy() -> NoReturn:
        raise error

    with pytest.raises(typer.Exit) as caught:
        greedy()
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == f"fdabench: there is not enough memory: {str(error) or 'MemoryError'}\n"


def test_processes_that_hang_at_their_start_end_the_run(
    stopped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started_at = birth._start_process, []

    def hangs(target: object, pipe: Any, *arguments: object) -> Any:
        started_at.append(start(wait, [pipe], 600))
        return started_at[-1]

    monkeypatch.setattr(birth, "_start_process", hangs)
    monkeypatch.setattr(birth, "START_TIMEOUT_S", 0.3)
    cells = read_suite(stopped.folder / "hurt.toml").cells[:1]
    place = RunContext(ResultsFolder(tmp_path), {}, ExecutionConfig(torch.device("cpu"), "sequential"))
    with pytest.raises(
        WorkloadError, match=r"3 worker processes ended before they were ready: it was not ready within 0\.3 s"
    ):
        list(run_cells(cells, place, LocalBackend()))
    assert not any(process.is_alive() for process in started_at)
    assert len(started_at) == 3
