"""Compare how fast frameworks train the same workers: `python benchmarks/others.py`. The work is in work.py.

Each framework gets a virtual environment of its own, made on first use, with its pinned version and the torch and numpy
of constraints.txt. The plain loops run in the environment that runs this. One measurement runs at a time, every figure
comes from fresh processes with one thread each, and the repeats go through all measurements in turn: so a machine that
slows down for a while does so for all.
"""

import json
import os
import re
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ENVS = Path.home() / ".cache" / "fdabench" / "benchmarks"
WORK = ("round", "step")
SETTINGS = {
    "OMP_NUM_THREADS": "1",  # the processes are compared, not the kernels' threads
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "FLWR_TELEMETRY_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray remarks on the empty list of devices
    "PYTHONWARNINGS": "ignore",
}
INSTALL_S, RUN_S = 1800.0, 600.0  # past this, something hangs


class Framework(NamedTuple):
    """What to install (nothing: use this environment), what to run, and in how many processes."""

    name: str
    requirement: str
    script: str
    processes: tuple[int, ...]
    torchrun: bool = False


FRAMEWORKS = {
    "plain": Framework("PyTorch loop", "", "work.py", (1, 2)),
    "pfl": Framework("pfl-research", "pfl[pytorch]==0.6.0", "with_pfl.py", (1, 2), torchrun=True),
    # its 1.42 asks for a certifi that was not out when this was written; its processes are Ray's actors
    "flower": Framework("Flower", "flwr[simulation]==1.41.0", "with_flower.py", (2,)),
}


class Measurement(NamedTuple):
    """A row: worker samples per second, once per repeat; or none, and the reason."""

    framework: str
    version: str
    work: str
    processes: int
    samples_per_s: list[float]
    reason: str = ""


class RunError(Exception):
    """A command did not do what it should; the message is the reason in the table."""


def measure(envs: Path = ENVS, repeats: int = 3, only: Sequence[str] = tuple(FRAMEWORKS)) -> list[Measurement]:
    """Every measurement, `repeats` times. What cannot be installed or run has a reason instead of figures."""
    rows: dict[tuple[str, str, int], Measurement] = {}
    pythons: dict[str, str] = {}
    for key in only:
        framework, reason = FRAMEWORKS[key], ""
        try:
            pythons[key] = _python(envs / key, framework.requirement)
        except RunError as failure:
            reason = str(failure)
        version = framework.requirement.partition("==")[2]
        for work in WORK:
            for processes in framework.processes:
                rows[key, work, processes] = Measurement(framework.name, version, work, processes, [], reason)
    moved: dict[str, float] = {}
    for place in list(rows) * repeats:
        if not rows[place].reason:
            rows[place] = _once_more(rows[place], FRAMEWORKS[place[0]], pythons[place[0]], moved)
    return list(rows.values())


def _once_more(row: Measurement, framework: Framework, python: str, moved: dict[str, float]) -> Measurement:
    """The row with one more figure. One failure voids it: what is left would no longer be a fair sample."""
    try:
        output = _run(framework, python, row.work, row.processes)
        reference = moved.setdefault(row.work, output["moved"])
        if abs(output["moved"] - reference) > 1e-3 * reference:
            raise RunError(f"other work: weights moved by {output['moved']:.6g}, elsewhere by {reference:.6g}")
    except RunError as failure:
        return row._replace(samples_per_s=[], reason=str(failure))
    _tell(f"{row.framework}, {row.work}, {row.processes} processes: {output['samples_per_s']:,.0f} samples/s")
    return row._replace(version=output["version"], samples_per_s=[*row.samples_per_s, output["samples_per_s"]])


def _run(framework: Framework, python: str, work: str, processes: int) -> dict[str, Any]:
    """What the framework's script says in its last line."""
    command = [python]
    if framework.torchrun and processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    output = _call([*command, str(HERE / framework.script), work, f"--processes={processes}"], RUN_S)
    try:
        text: dict[str, Any] = json.loads(output.splitlines()[-1])
        return {key: text[key] for key in ("version", "samples_per_s", "moved")}
    except (ValueError, LookupError, TypeError):
        raise RunError("it ended without a figure") from None


def _python(env: Path, requirement: str) -> str:
    """The interpreter to use; makes the environment unless it is there, whole, with these very versions."""
    if not requirement:
        return sys.executable
    python, done = env / ("Scripts" if os.name == "nt" else "bin") / "python", env / "installed.txt"
    pins = "".join(f"{pin}\n" for pin in _pins())
    if done.is_file() and done.read_text(encoding="utf-8") == f"{requirement}\n{pins}":
        return str(python)
    _tell(f"installing {requirement} into {env}")
    _call([sys.executable, "-m", "venv", "--clear", str(env)], INSTALL_S)
    (env / "pins.txt").write_text(pins, encoding="utf-8")
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(env / "pins.txt")]
    _call([*install, *_pins()], INSTALL_S)  # first and by itself, so that no framework chooses a torch
    _call([*install, requirement], INSTALL_S)
    done.write_text(f"{requirement}\n{pins}", encoding="utf-8")
    return str(python)


def _pins() -> list[str]:
    """Only these: the rest of constraints.txt contradicts what Flower asks for (typer, rich)."""
    lines = (HERE.parent / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(("torch==", "numpy=="))]


def _call(command: Sequence[str], timeout_s: float) -> str:
    """What a command prints; whatever it started is gone afterwards."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | SETTINGS
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, env=env, text=True, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as error:
        raise RunError(f"{command[0]}: {error.strerror}") from None
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise RunError(f"no end within {timeout_s:.0f} s") from None
    finally:
        _end(process)
    if process.returncode:
        raise RunError(_last_error(errors) or f"exit code {process.returncode}")
    return output


def _end(process: "subprocess.Popen[str]") -> None:
    """Torchrun and Ray have children, which would outlive a timeout or Ctrl-C."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_error(errors: str) -> str:
    """The line of a traceback, of torchrun or of pip that says what was wrong."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    report = [line for line in lines if re.match(r"[\w.]+(Error|Exception): .|ERROR: ", line)]
    signals = [line for line in lines if line.startswith("traceback : Signal")]
    return (report or signals or lines or [""])[-1][:200]


def table(rows: Sequence[Measurement]) -> Iterator[str]:
    """Lines of plain text."""
    yield f"{'what':24}{'work':8}{'processes':>9}{'samples/s: min':>16}{'median':>10}{'max':>10}"
    for row in rows:
        begin = f"{row.framework + ' ' + row.version:24}{row.work:8}{row.processes:9}"
        figures = row.samples_per_s
        if figures:
            yield f"{begin}{min(figures):16,.0f}{median(figures):10,.0f}{max(figures):10,.0f}"
        else:
            yield f"{begin}  no figure: {row.reason}"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=ENVS, help="folder of the frameworks' environments")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=list(FRAMEWORKS), action="append", help="may be given several times")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    rows = measure(arguments.envs.resolve(), arguments.repeats, arguments.only or list(FRAMEWORKS))
    if arguments.json:
        arguments.json.write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n", encoding="utf-8")
    print(*table(rows), sep="\n")


if __name__ == "__main__":
    main()
