"""Fixtures: results of the current code, and a function that compares runs with runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fdabench.gate.baseline.model import ResultsSummary, RunSummary
from fdabench.gate.baseline.snapshot import summarize_results
from fdabench.gate.compare.check import check
from fdabench.gate.compare.settings import GateConfig
from fdabench.gate.compare.verdict import CheckResult
from fdabench.results.load import load
from support.gate_runs import CodeChange, make_snapshot


@pytest.fixture(scope="session")
def unchanged_code(tmp_path_factory: pytest.TempPathFactory) -> ResultsSummary:
    """The results of the current code."""
    folder = tmp_path_factory.mktemp("before")
    return summarize_results(load(CodeChange(folder, ResultsSummary("", {}, {}, ())).results()))


@pytest.fixture
def code_change(tmp_path: Path, unchanged_code: ResultsSummary) -> CodeChange:
    return CodeChange(tmp_path, unchanged_code)


@pytest.fixture
def compared() -> Callable[..., CheckResult]:
    """Compare runs with runs, with the default margins or others."""

    def compare(before: Sequence[RunSummary], after: Sequence[RunSummary], **gate: Any) -> CheckResult:
        new = make_snapshot(after)
        return check(make_snapshot(before), new, GateConfig(**gate), new, "before")

    return compare
