"""A run that is killed a few times; `python -m support.scripts.kill_runs` kills many runs."""

from pathlib import Path

import pytest

from support.scripts.kill_runs import REFERENCE, kill_and_resume, run_uninterrupted, tables


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    """`kill_and_resume` compares every table with those of the uninterrupted run."""
    length_s = run_uninterrupted(tmp_path)
    assert len(tables(tmp_path / REFERENCE)) == 15
    for trial in range(3):
        log = kill_and_resume(tmp_path, trial, length_s)
        assert " 0, resumed at [" in log
