"""The display of a run in terminals of 80 and 140 columns: no line is longer, and no number is cut."""

import io
import itertools
from math import nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fdabench.cli.display import progress
from fdabench.cli.display.event_lines import ResultLines, RunningColumns, format_progress, format_running
from fdabench.cli.display.progress import EtaEstimator, LiveReporter, PlainReporter, RunningCell
from fdabench.execution.events import CellFinished, CellProgress, CellStarted, Idle
from fdabench.experiment.recorder import Progress
from fdabench.metrics import ACCURACY
from fdabench.results.folder import ResultsFolder
from fdabench.results.suite_lock import SuiteLock
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.digits_results import SIX, Suite, write

TITLE = "LinearFDA | cifar10 densenet121 | dirichlet(0.1, per-worker) | theta=0.3 every=20 | K=30 b=32 s0"
HALF = Progress(2400, 4000, 0.9721, 41_000_000, 1237, 0.44)


def _lines(root: Path) -> ResultLines:
    """Lines of a folder without results."""
    return ResultLines(ResultsFolder(root), SuiteLock.model_construct(metric="accuracy"))


def test_at_80_columns_the_title_is_shortened_and_the_numbers_stay() -> None:
    line = format_running(TITLE, HALF, ACCURACY, 80, "27.5 min")
    assert line == " run  LinearFDA | cifar10 …   2,400/4,000 steps   97.2 %  41.0 MB  27.5 min left"
    assert len(line) == 80


def test_at_140_columns_every_number_is_shown() -> None:
    line = format_running(TITLE, HALF, ACCURACY, 140, "27.5 min")
    assert line.endswith("   2,400/4,000 steps   97.2 %  41.0 MB  27.5 min left  1,237 syncs  Var/θ 0.44")
    assert len(line) <= 140


@given(
    st.integers(80, 200),
    st.text("abc |", max_size=120),
    st.integers(1, 10**7),
    st.integers(0, 10**14),
    st.sampled_from([nan, 0.44, 123.4]),
)
def test_steps_the_metric_and_bytes_are_never_cut(
    width: int, title: str, budget: int, total: int, variance: float
) -> None:
    made = Progress(budget // 2, budget, 0.5, total, 10**6, variance)
    line = format_running(title, made, ACCURACY, width)
    assert len(line) <= width
    assert all(part in line for part in format_progress(made).split("  ")[:3])
    assert "... left" in line


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 10**12), st.integers(0, 4000)), min_size=2))
def test_numbers_stay_in_their_columns_while_a_cell_runs(moments: list[tuple[int, int, int]]) -> None:
    lines = [
        format_running(TITLE, Progress(step, 4000, 0.5, total, syncs, nan), ACCURACY, 140, left, RunningColumns(90))
        for (step, total, syncs), left in zip(moments, itertools.cycle(["...", "9.85 s", "27.5 min"]), strict=False)
    ]
    for word in (" steps", " %", " left", " syncs"):
        assert len({line.index(word) for line in lines}) == 1


def test_the_time_left_of_a_cell_counts_from_the_first_evaluation_of_this_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    cell = RunningCell("resumed")
    cell.update(HALF._replace(step=2000))
    assert cell.left() == "..."
    now = 110.0
    cell.update(HALF._replace(step=2400))  # 40 steps a second
    assert cell.left() == "40.0 s"
    now = 115.0
    assert cell.left() == "35.0 s"
    now = 1000.0
    assert cell.left() == "< 1 s"


def test_the_time_left_of_a_run_leaves_out_the_steps_of_earlier_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = 100.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    results = write(tmp_path / "digits", Suite(SIX[:1], seeds=(0, 1), targets=(0.9,)))
    resumed, fresh = (Cell.from_lock(entry) for entry in results.lock.cell)
    store = ResultsFolder(results.root)
    record = results.records[resumed.id].model_copy(update={"resumed_at_step": 2000})
    store.write_record(record)
    eta = EtaEstimator(4, store)
    eta.on_event(CellStarted(resumed))
    eta.on_event(CellStarted(fresh))
    assert (len(eta.running), eta.left()) == (2, "...")
    now = 110.0
    eta.on_event(CellProgress(resumed, HALF._replace(step=2400)))  # 0.1 of a cell in 10 s
    assert eta.left() == "5.67 min left"  # 3.4 cells
    eta.on_event(CellProgress(fresh, HALF._replace(step=400)))
    assert eta.left() == "2.75 min left"  # 0.2 of a cell in 10 s, 3.3 cells
    now = 120.0
    eta.on_event(CellFinished(resumed, record))
    assert len(eta.running) == 1
    assert eta.left() == "1.61 min left"  # 0.6 of a cell in 20 s, 2.9 cells


def test_a_log_counts_a_cell_as_running_before_its_first_evaluation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    cells = read_suite(Path(__file__).parents[3] / "suites" / "quickstart.toml").cells[:2]
    reporter = PlainReporter(10, _lines(tmp_path))
    for cell in cells:
        reporter.on_event(CellStarted(cell))
    now = 61.0
    reporter.on_event(Idle())
    assert capsys.readouterr().err == "[0/10] 2 running, 0 failed, ...\n"


@pytest.mark.parametrize("width", [80, 140])
def test_the_display_has_a_line_for_each_cell_and_the_bar(
    width: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=text, width=width, force_terminal=True, color_system=None))
    cells = read_suite(Path(__file__).parents[3] / "suites" / "quickstart.toml").cells[:3]
    reporter = LiveReporter(120, _lines(tmp_path))
    for cell in cells:
        reporter.on_event(CellStarted(cell))
    reporter.on_event(CellProgress(cells[0], HALF))
    progress.err.print(reporter._draw())
    first, second, third, bar = text.getvalue().rstrip().splitlines()
    assert "2,400/4,000 steps   97.2 %  41.0 MB       ... left" in first
    assert second.startswith(f" run  {cells[1].title[:20]}")
    assert third.startswith(" run  ")
    assert "0/120" in bar
    assert "elapsed" in bar
    assert all(len(line) <= width for line in (first, second, third, bar))


@pytest.mark.parametrize("width", [79, 139])
def test_the_line_of_a_finished_cell_fits_and_keeps_its_accuracy_and_bytes(width: int, tmp_path: Path) -> None:
    results = write(tmp_path / "digits", Suite(SIX[:1], seeds=(0,), targets=(0.9,)))
    lines, cell = ResultLines(ResultsFolder(results.root), results.lock), Cell.from_lock(results.lock.cell[0])
    record = results.records[cell.id]
    whole, fitted = lines.line(cell, record), lines.line(cell, record, width)
    numbers = whole.rpartition("   ")[2].split("  ")
    assert whole.startswith(f"{record.state}  {cell.title}   ")
    assert numbers[-1].endswith("samples/s")
    assert len(fitted) <= width
    assert fitted.startswith(f"{record.state}  {cell.title[:20]}")
    assert "  ".join(numbers[:3]) in fitted
