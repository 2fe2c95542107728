"""Unusual environments: a run and its report succeed, or end with one message, and never hang."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import fdabench
from support.suites import FEDAVG, SGD, SYNCHRONOUS, digits_suite

SUITE = digits_suite([SYNCHRONOUS, FEDAVG], steps=4, every_steps=2, targets=[0.2], batch_size=8, optimizer=SGD)
RUN = "$PY -m fdabench run tiny.toml -j 1 --device cpu -q -o"
REPORT = "$PY -m fdabench report"
BOTH = f'{RUN} "$OUT" && {REPORT} "$OUT" -o "$OUT-page"'
NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-ec")
LIMIT_S = 120
NO_SIGN = re.compile(r"Traceback|this is a bug|[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]")
Sh = Callable[..., "subprocess.CompletedProcess[bytes]"]


def variables(more: Mapping[str, str | bytes]) -> dict[str, str | bytes]:
    folder = str(Path(fdabench.__file__).parents[1])
    return (
        os.environ | {"PYTHONPATH": folder, "CUDA_VISIBLE_DEVICES": "", "PY": sys.executable, "OUT": "results"} | more
    )


@pytest.fixture
def sh(tmp_path: Path) -> Sh:
    """Call a script in a folder with the suite; its output has no control characters and no traceback."""
    (tmp_path / "tiny.toml").write_text(SUITE)

    def called(script: str, before: tuple[str, ...] = ("sh", "-c"), **more: str | bytes) -> Any:
        result = subprocess.run(
            [*before, script], cwd=tmp_path, env=variables(more), capture_output=True, timeout=LIMIT_S, check=False
        )
        assert not NO_SIGN.search((result.stdout + result.stderr).decode(errors="replace")), result
        return result

    return called


def assert_whole(result: "subprocess.CompletedProcess[bytes]", folder: bytes) -> None:
    assert result.returncode == 0, result
    assert os.path.getsize(os.path.join(folder, b"runs.parquet"))
    assert os.path.getsize(os.path.join(folder + b"-page", b"index.html"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "more"),
    [
        (f"unset HOME; {BOTH}", {"TMPDIR": "/nonexistent/tmp", "OUT": "x" * 240}),
        (BOTH, {"HOME": "/nonexistent/home", "TMPDIR": "/proc/self", "OUT": b"bad\xff\xfename"}),
        (
            f"ulimit -n 32; {BOTH}",
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OUT": "Größe-重"},
        ),
        (f"ulimit -v 3000000; {BOTH}", {}),
    ],
    ids=["no home, tmp missing, long", "home missing, tmp unwritable, no UTF-8", "C, 32 files", "3 GB"],
)
def test_a_run_and_its_report_succeed_in_an_unusual_environment(
    sh: Sh, tmp_path: Path, script: str, more: Mapping[str, str | bytes]
) -> None:
    """Conditions that do not depend on each other share a run and a report, which take seconds."""
    assert_whole(sh(script, **more), os.fsencode(tmp_path) + b"/" + os.fsencode(more.get("OUT", "results")))


@pytest.mark.slow
def test_a_run_succeeds_without_shared_memory(sh: Sh, tmp_path: Path) -> None:
    mount = "mount -t tmpfs -o ro tmpfs /dev/shm"
    if shutil.which("unshare") is None or sh(mount, NAMESPACE).returncode:
        pytest.skip("mounting a disk of one's own is not permitted here")
    assert_whole(sh(f"{mount}; {BOTH}", NAMESPACE), os.fsencode(tmp_path / "results"))


NAMED = [
    "run tiny.toml -o LONG",
    "status LONG",
    "show LONG",
    "report LONG",
    "merge LONG LONG -o z",
    "merge . . -o LONG",
    "compare . LONG",
    "check . --baseline LONG",
    "baseline save . -o LONG",
    "baseline show LONG",
    "plan tiny.toml -o LONG",
    "plan LONG",
    "validate LONG",
    "cite LONG",
    "init LONG.toml",
]


@pytest.mark.parametrize("command", NAMED)
def test_a_name_that_is_too_long_is_reported(
    command: str, say: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.toml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    result = say(*command.replace("LONG", "x" * 300).split())
    assert result.exit_code in (2, 4), result.output
    assert "File name too long" in result.stderr or "no results here" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


BACKWARDS = """
import time
_time, _ns = time.time, time.time_ns
def _back():
    return int(time.monotonic() * 2) % 2 * 3600.0
time.time = lambda: _time() - _back()
time.time_ns = lambda: _ns() - int(_back() * 1e9)
"""


@pytest.mark.slow
def test_a_clock_that_is_set_back_changes_no_number(sh: Sh, tmp_path: Path) -> None:
    """Every second it jumps back by an hour, and on again half a second later."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(BACKWARDS)
    path = os.pathsep.join([str(tmp_path / "clock"), str(variables({})["PYTHONPATH"])])
    long = BOTH.replace("tiny.toml", "tiny.toml --set budget.steps=1200 --set eval.every_steps=400")
    assert_whole(sh(long, OUT="back", PYTHONPATH=path), os.fsencode(tmp_path / "back"))
    assert_whole(sh(long), os.fsencode(tmp_path / "results"))
    back, results = (pd.read_parquet(tmp_path / name / "runs.parquet") for name in ("back", "results"))
    clocks = [name for name in back if not back[name].astype(str).equals(results[name].astype(str))]
    assert set(clocks) <= {name for name in back if name.endswith(("_s", "_at"))}, clocks
    assert (back.filter(like="wall") >= 0).all().all()


@pytest.mark.slow
def test_a_folder_that_is_moved_during_a_run_is_reported(sh: Sh, tmp_path: Path) -> None:
    """And what is moved goes on where it was, when it is told where it is."""
    long = "exec " + RUN.replace("tiny.toml", "tiny.toml --set budget.steps=600 --checkpoint-every 0.05s")
    pipe = subprocess.PIPE
    program = subprocess.Popen(
        ["sh", "-c", f"{long} results"], cwd=tmp_path, env=variables({}), text=True, stdout=pipe, stderr=pipe
    )
    while program.poll() is None and not list(tmp_path.glob("results/cells/*/checkpoint.pt")):
        time.sleep(0.02)
    (tmp_path / "results").rename(tmp_path / "moved")
    _, err = program.communicate(timeout=LIMIT_S)
    assert program.returncode in (2, 3), err
    assert not NO_SIGN.search(err), err
    assert "results" in err
    result = sh(f"{RUN} moved --retry-failed --set budget.steps=600")
    assert result.returncode == 0, result
    assert len(pd.read_parquet(tmp_path / "moved" / "runs.parquet").query("state == 'done'")) == 2
