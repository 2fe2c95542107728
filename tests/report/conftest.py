"""Fixtures: results folders for reports, written without training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fdabench.report.build import build_report
from fdabench.results.load import Results
from support.digits_results import FULL, SIX, Strategy, Suite, write, write_by_hand
from support.html_page import Page


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Six strategies, two workloads, three seeds; misses, a divergence, a failure and a cell not run."""
    return write(tmp_path_factory.mktemp("results") / "full", FULL)


class WrittenReport(NamedTuple):
    """The folder of a report and the files that `build_report` says it wrote."""

    folder: Path
    files: list[Path]


@pytest.fixture(scope="session")
def citations() -> list[str]:
    """A BibTeX entry whose title would be markup if the page did not escape it."""
    return ["@article{somebody2024,\n  title = {<b>Bold</b> & plain}\n}"]


@pytest.fixture(scope="session")
def full_report(full: Results, citations: list[str], tmp_path_factory: pytest.TempPathFactory) -> WrittenReport:
    """The report of `full`; tests only read it, since it takes seconds to draw."""
    folder = tmp_path_factory.mktemp("report")
    return WrittenReport(folder, build_report([full], folder, citations))


@pytest.fixture(scope="session")
def report_folder(full_report: WrittenReport) -> Path:
    """The folder of the report of `full`."""
    return full_report.folder


@pytest.fixture(scope="session")
def page(full_report: WrittenReport) -> Page:
    """`index.html` of the report of `full`."""
    return Page((full_report.folder / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A suite with a lock file and no cell that has run."""
    states = {(strategy.label, seed): "pending" for strategy in SIX for seed in (0, 1, 2)}
    return write(tmp_path_factory.mktemp("results") / "nothing", Suite(SIX, states=states))


@pytest.fixture
def results_of(tmp_path: Path) -> Callable[..., Results]:
    """Results of the six strategies with some of the suite's entries changed."""

    def build(strategies: Sequence[Strategy] = SIX, **changes: Any) -> Results:
        return write(tmp_path / "pretended", Suite(strategies, **changes))

    return build


@pytest.fixture
def one_cell(results_of: Callable[..., Results]) -> Results:
    """One strategy with one seed."""
    return results_of(strategies=SIX[-1:], seeds=(0,))


@pytest.fixture
def hand_made(tmp_path: Path) -> Results:
    """Two strategies, two seeds, a model of ten numbers on two workers; see `write_by_hand`."""
    return write_by_hand(tmp_path / "hand")
