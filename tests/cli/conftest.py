"""Fixtures that run the program in its own process and folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner, Result

import fdabench
from fdabench.cli.main import app
from support.suites import SYNCHRONOUS, digits_suite, linear_fda

TINY = digits_suite(
    [SYNCHRONOUS, linear_fda(0.3)],
    steps=30,
    every_steps=10,
    workload='partition = { kind = "dirichlet", alpha = 1.0 }',
    head='description = "Two strategies, for a moment."',
)

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Result]


def environment() -> dict[str, str]:
    """The environment without variables that change the output; the package under test is first on the path."""
    speech = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "FDABENCH_DATA", "CUDA_VISIBLE_DEVICES")
    stored = {key: value for key, value in os.environ.items() if key not in speech}
    return stored | {
        "PYTHONPATH": str(Path(fdabench.__file__).parents[1]),
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONIOENCODING": "utf-8",
    }


def call(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fdabench", *arguments],
        cwd=folder,
        env=environment() | variables,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )


@pytest.fixture(scope="session")
def variables() -> dict[str, str]:
    """The environment of the program."""
    return environment()


@pytest.fixture(scope="session")
def call_in() -> Fdabench:
    """Call the program in a folder."""
    return call


class Finished(NamedTuple):
    """A folder with a suite that was run there, and the output of the program."""

    folder: Path
    output: subprocess.CompletedProcess[str]

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in sorted(self.results.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Tests do not change it, or restore it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.toml").write_text(TINY)
    return Finished(folder, call(folder, "run", "tiny.toml", "--jobs", "2"))


@pytest.fixture
def fdabench_in(tmp_path: Path) -> Fdabench:
    """Call the program in an empty folder with the tiny suite."""
    (tmp_path / "tiny.toml").write_text(TINY)
    return lambda *arguments, **variables: call(tmp_path, *arguments, **variables)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Call the program within this process, which is faster, in an empty folder with the tiny suite."""
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FDABENCH_DATA", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


FAILS = """
from fdabench.strategies.synchronous import Synchronous


class Fails(Synchronous):
    def step(self, ctx, r, channel):
        raise RuntimeError("this one always fails")


STRATEGIES = {"fails": Fails}
"""


@pytest.fixture
def failing(here: InProcess) -> InProcess:
    """As `here`, with a strategy `fails` that raises an exception."""
    Path("fails.py").write_text(FAILS)
    Path("tiny.toml").write_text(TINY.replace("[budget]", 'plugins = ["fails.py"]\n[budget]'))
    return here


@pytest.fixture
def heeding_ctrl_c() -> None:
    """A shell in the background has this process, and all that it starts, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def start(here: InProcess, heeding_ctrl_c: None) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program with its children in a process group of their own, as a shell does; all are gone at the end."""
    programs: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fdabench", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        program = subprocess.Popen(command, env=environment(), text=True, start_new_session=True, **pipes)
        programs.append(program)
        return program

    yield begin
    for program in programs:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()
