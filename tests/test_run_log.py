"""The log of a run: every process appends to it, and nothing depends on it."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fdabench.results.folder import ResultsFolder
from fdabench.run_log import FILE_NAME, MAX_BYTES, LogFollower, rotate, run_log
from support.suites import SYNCHRONOUS, digits_suite

LINE = re.compile(r"[\d-]+ [\d:,]+ [A-Z]+ +pid=\d+ rank=\d+ cell=[0-9a-f-]+ fdabench[\w.]*: .+")
RAISES = """
from dataclasses import dataclass
from fdabench import api

@dataclass(frozen=True)
class Broken:
    def init(self, w_D):
        return api.initial_round(w_D, api.SyncRule(api.Average()))

    def step(self, ctx, r, channel):
        raise ValueError("not \\x1b[31mthis way")

STRATEGIES = {"broken": Broken}
"""


@pytest.fixture
def logger() -> logging.Logger:
    return logging.getLogger("fdabench.test")


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fdabench", "run", "tiny.toml", "-o", "out", "--device", "cpu", "-q", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def test_verbose_prints_the_log_of_all_processes(tmp_path: Path) -> None:
    suite = digits_suite([SYNCHRONOUS], name="tiny", steps=6, every_steps=3, targets=None)
    (tmp_path / "tiny.toml").write_text(suite)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE_NAME).write_text("a line of an earlier run\n")
    command = [sys.executable, "-m", "fdabench", "run", "tiny.toml", "-o", "out", "--device", "cpu", "-v"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    logged = (tmp_path / "out" / FILE_NAME).read_text().splitlines()
    printed = [line for line in result.stderr.splitlines() if LINE.fullmatch(line)]
    assert logged[1:][: len(printed)] == printed
    assert any(": started" in line for line in printed)


def test_a_log_reader_reads_complete_lines_once(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text("before\n")
    log = LogFollower(tmp_path)
    with path.open("a") as file:
        file.write("one\ntw")
    assert log.new_lines() == ["one"]
    assert log.new_lines() == []
    with path.open("a") as file:
        file.write("o\n")
    assert log.new_lines() == ["two"]
    path.unlink()
    assert log.new_lines() == []
    path.symlink_to("/etc/hostname")
    assert LogFollower(tmp_path).new_lines() == []


def test_a_run_logs_what_happens_to_each_cell(tmp_path: Path) -> None:
    strategies = [SYNCHRONOUS, 'kind = "fedavg"\nlocal_steps = 3', 'kind = "broken"']
    suite = digits_suite(strategies, name="tiny", steps=6, every_steps=3, targets=None)
    (tmp_path / "tiny.toml").write_text('plugins = ["broken.py"]\n' + suite)
    (tmp_path / "broken.py").write_text(RAISES)
    assert call(tmp_path).returncode == 3
    lines = (tmp_path / "out" / FILE_NAME).read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    assert "tiny: 3 of 3 cells to run" in lines[0]
    for cell in ResultsFolder(tmp_path / "out").read_lock().cell:
        actual = [line for line in lines if f"cell={cell.id}" in line]
        failed = cell.label == "broken"
        assert [re.search(r": (started|done|failed)", line)[1] for line in actual] == [  # type: ignore[index]
            "started",
            "failed" if failed else "done",
        ]
    (error,) = [line for line in lines if " ERROR " in line]
    assert error.endswith("ValueError: not \\x1b[31mthis way")


@pytest.mark.slow
def test_every_rank_logs_that_it_joined(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(digits_suite([SYNCHRONOUS], name="tiny", steps=6, every_steps=3, targets=None))
    assert call(tmp_path, "--engine", "distributed", "--processes", "2").returncode == 0
    text = (tmp_path / "out" / FILE_NAME).read_text()
    for rank in (0, 1):
        assert re.search(rf"rank={rank} .*: rank {rank} of 2 has joined over gloo", text)


def test_a_record_is_one_line_with_its_cell_and_rank(tmp_path: Path, logger: logging.Logger) -> None:
    with run_log(tmp_path, rank=3):
        logger.info("two\nlines", extra={"cell": "abc"})
        logger.debug("not shown")
    logger.info("after the run")
    (line,) = (tmp_path / FILE_NAME).read_text().splitlines()
    assert "rank=3 cell=abc fdabench.test: two\\x0alines" in line


def test_a_long_log_is_renamed_when_a_run_starts(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("x" * (MAX_BYTES + 1))
    rotate(tmp_path)
    assert not (tmp_path / FILE_NAME).exists()
    (tmp_path / FILE_NAME).write_text("short")
    rotate(tmp_path)
    assert (tmp_path / FILE_NAME).read_text() == "short"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "absent"])
def test_a_log_that_cannot_be_written_stops_no_run(tmp_path: Path, kind: str, logger: logging.Logger) -> None:
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    if kind != "absent":
        folder.mkdir()
    if kind == "link":
        elsewhere.write_text("mine")
        (folder / FILE_NAME).symlink_to(elsewhere)
    if kind == "pipe":
        os.mkfifo(folder / FILE_NAME)
    if kind == "folder":
        (folder / FILE_NAME).mkdir()
    rotate(folder)
    with run_log(folder):
        logger.info("lost")
    assert not elsewhere.exists() or elsewhere.read_text() == "mine"


def test_a_program_that_does_not_configure_logging_prints_nothing() -> None:
    code = "import logging, fdabench; logging.getLogger('fdabench.execution').error('quiet')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
