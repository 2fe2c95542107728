"""Fixtures: a suite with a plug-in, before and after a run."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.own_plugin import Done, write

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory, call_in: Fdabench) -> Done:
    """Tests do not change it."""
    folder = tmp_path_factory.mktemp("own")
    write(folder)
    return Done(folder, call_in(folder, "run", "own.toml", "--jobs", "2"))


@pytest.fixture
def own(here: InProcess) -> InProcess:
    """Call the program in a folder with a suite and its plug-in."""
    write(Path())
    return here


@pytest.fixture
def ran(own: InProcess, done: Done) -> InProcess:
    """Call the program in a copy of the folder in which the suite was run."""
    shutil.copytree(done.folder / "results", "results")
    return own
