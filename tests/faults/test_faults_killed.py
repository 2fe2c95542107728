"""A run that is killed at some moments; `kill_many.py` does so at many."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest


def kill_many() -> Any:
    spec = importlib.util.spec_from_file_location("kill_many", Path(__file__).with_name("kill_many.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    script = kill_many()
    length = script.undisturbed(tmp_path)
    for trial in range(3):
        script.survive(tmp_path, trial, length)
