"""Where a report goes when git tracks the folder of reports, and what a run records of the suite's repository."""

import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

InProcess = Callable[..., Any]


def git(*arguments: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    return subprocess.run(["git", *who, *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repo(here: InProcess, finished: Any) -> InProcess:
    """Call the program in a repository that tracks a report of the suite and ignores its results."""
    shutil.copytree(finished.results, "results/tiny")
    Path("reports/tiny").mkdir(parents=True)
    Path("reports/tiny/index.html").write_text("as committed")
    Path(".gitignore").write_text("/results/\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "with a report")
    return here


def test_tracked_report_files_are_overwritten_only_on_request(repo: InProcess) -> None:
    result = repo("report", "results/tiny")
    assert result.exit_code == 0, result.output
    assert (
        "reports/tiny is tracked by git; the report is written to results/tiny/report. "
        "-o reports/tiny writes it there\n" in result.stderr
    )
    assert result.stdout.strip().endswith("open results/tiny/report/index.html")
    assert git("status", "--short") == ""
    assert Path("results/tiny/report/index.html").is_file()
    result = repo("report", "results/tiny", "-o", "reports/tiny")
    assert "tracked" not in result.output
    assert "M reports/tiny/index.html" in git("status", "--short")


def test_a_results_folder_that_contains_a_report_is_read(repo: InProcess) -> None:
    before = repo("status", "results/tiny").stdout
    shutil.copytree("results/tiny", "copy")
    assert repo("report", "results/tiny").exit_code == 0
    assert repo("status", "results/tiny").stdout == before
    assert repo("check", "results/tiny", "--against", "results/tiny").exit_code == 0
    assert repo("merge", "results/tiny", "copy", "-o", "merged").exit_code == 0
    assert not Path("merged/report").exists()
    assert " 2 done | 0 to run" in repo("run", "tiny.toml", "--jobs", "1").stderr


def test_untracked_folders_keep_the_default_report_folder(
    here: InProcess, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished.results, "results/tiny")
    Path("reports/tiny").mkdir(parents=True)
    monkeypatch.setenv("PATH", "")
    assert here("report", "results/tiny").stdout.strip().endswith("open reports/tiny/index.html")


def test_where_both_folders_are_tracked_the_output_must_be_given(repo: InProcess) -> None:
    Path("results/tiny/report").mkdir()
    Path("results/tiny/report/index.html").write_text("as committed")
    git("add", "--force", "results")
    result = repo("report", "results/tiny")
    assert result.exit_code == 2
    assert "reports/tiny and results/tiny/report are tracked by git; give the folder of the report" in result.stderr
    assert Path("results/tiny/report/index.html").read_text() == "as committed"


def test_the_frozen_suite_has_the_revision_of_the_repository_that_it_is_in(repo: InProcess) -> None:
    assert "suite_revision" not in tomllib.loads(Path("results/tiny/suite.lock.toml").read_text())
    assert repo("run", "tiny.toml", "--jobs", "1").exit_code == 0
    lock = tomllib.loads(Path("results/tiny/suite.lock.toml").read_text())
    assert lock["suite_revision"] == git("rev-parse", "--short", "HEAD")
    Path("tiny.toml").write_text(Path("tiny.toml").read_text() + "\n# a remark\n")
    assert repo("run", "tiny.toml", "--jobs", "1").exit_code == 0
    lock = tomllib.loads(Path("results/tiny/suite.lock.toml").read_text())
    assert lock["suite_revision"] == git("rev-parse", "--short", "HEAD") + "+"
