"""Fixtures: a small valid suite, and a function that writes and reads it."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fdabench.suite.reader import LoadedSuite, read_suite
from support.suites import SYNCHRONOUS, digits_suite

GOOD = digits_suite(
    [
        SYNCHRONOUS,
        'kind = "fedavg"\nlocal_epochs = 1',
        'kind = "fda"\nmonitor = { kind = "sketch", depth = 5, width = 250 }\ntheta = 1.0',
    ],
    name="good",
    steps=40,
    every_steps=10,
    targets=[0.5],
    workers=4,
    batch_size=16,
    workload='partition = { kind = "dirichlet", alpha = 1.0 }',
    head="seeds = [0]",
)

Table = dict[str, Any]
Read = Callable[..., LoadedSuite]


@pytest.fixture
def good() -> Table:
    """One cell each of Synchronous, FedAvg and SketchFDA; tests may change it."""
    return tomllib.loads(GOOD)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a suite given as text or as tables, with overrides."""

    def read_it(suite: str | Table, *overrides: str) -> LoadedSuite:
        path = tmp_path / "suite.toml"
        path.write_text(suite if isinstance(suite, str) else tomli_w.dumps(suite), encoding="utf-8")
        return read_suite(path, overrides)

    return read_it
