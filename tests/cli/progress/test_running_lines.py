"""The display of a run in terminals of 80 and 140 columns: no line is longer, and no number is cut."""

import io
from math import nan
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fdabench.cli import progress
from fdabench.cli.event_lines import ResultLines, format_progress, format_running
from fdabench.cli.progress import LiveReporter
from fdabench.execution.events import CellProgress, CellStarted
from fdabench.experiment.recorder import Progress
from fdabench.metrics import ACCURACY
from fdabench.results.suite_lock import SuiteLock
from fdabench.suite.reader import read_suite

TITLE = "LinearFDA | cifar10 densenet121 | dirichlet(0.1, per-worker) | theta=0.3 every=20 | K=30 b=32 s0"
HALF = Progress(2400, 4000, 0.9721, 41_000_000, 1237, 0.44)


def test_at_80_columns_the_title_is_shortened_and_the_numbers_stay() -> None:
    line = format_running(TITLE, HALF, ACCURACY, 80)
    assert line == " run  LinearFDA | cifar10 den…   2,400/4,000 steps  97.2 %  41.0 MB  1,237 syncs"
    assert len(line) == 80


def test_at_140_columns_nothing_is_left_out_of_the_numbers() -> None:
    line = format_running(TITLE, HALF, ACCURACY, 140)
    assert line.endswith(f"   {format_progress(HALF)}")
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
    assert "  ".join(format_progress(made).split("  ")[:3]) in line


@pytest.mark.parametrize("width", [80, 140])
def test_the_display_has_a_line_for_each_cell_and_the_bar(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=text, width=width, force_terminal=True, color_system=None))
    cells = read_suite(Path(__file__).parents[3] / "suites" / "quickstart.toml").cells[:3]
    lines = ResultLines(cast(progress.ResultsFolder, None), SuiteLock.model_construct(metric="accuracy"))
    reporter = LiveReporter(120, lines)
    for cell in cells:
        reporter.on_event(CellStarted(cell))
    reporter.on_event(CellProgress(cells[0], HALF))
    progress.err.print(reporter._draw())
    first, second, third, bar = text.getvalue().rstrip().splitlines()
    assert "2,400/4,000 steps  97.2 %  41.0 MB" in first
    assert second.startswith(f" run  {cells[1].title[:20]}")
    assert third.startswith(" run  ")
    assert "0/120" in bar
    assert "elapsed" in bar
    assert all(len(line) <= width for line in (first, second, third, bar))
