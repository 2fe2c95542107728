"""`fdabench plan --extrapolate`: its output, and the arguments that it refuses."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fdabench.cli.commands.runs.extrapolate import parse_target_scale
from fdabench.formatting import format_bytes
from fdabench.planning.extrapolate import TargetScale

InProcess = Callable[..., Any]
PAGE = (Path(__file__).parents[2] / "docs" / "extrapolation.md").read_text(encoding="utf-8")


def test_numbers_of_the_target_scale_are_parsed_exactly() -> None:
    assert parse_target_scale("workers=1e6,parameters=7e9") == TargetScale(1_000_000, 7_000_000_000)
    assert parse_target_scale(" steps = 1_000 ") == TargetScale(steps=1000)
    assert parse_target_scale("parameters=99999999999") == TargetScale(parameters=99_999_999_999)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers=0", "workers=0: expected a whole number from 1 to 1,000,000"),
        ("workers=1000001", "from 1 to 1,000,000"),
        ("parameters=1e40", "parameters=1e40: expected a whole number from 1 to 100,000,000,000"),
        ("parameters=1e999999999", "from 1 to"),
        ("steps=1e-999999999", "from 1 to"),
        ("workers=1.5", "expected a whole number"),
        ("workers=nan", "expected a whole number"),
        ("workers=inf", "expected a whole number"),
        ("workers=many", "expected a whole number"),
        ("workers", "expected a whole number"),
        ("", "expected workers=N, parameters=N, steps=N"),
        ("wrokers=5", 'did you mean "workers"?'),
        ("workers=2,workers=2", "workers is given twice"),
    ],
)
def test_an_impossible_request_is_refused_with_exit_2(here: InProcess, text: str, message: str) -> None:
    result = here("plan", "tiny.toml", "--extrapolate", text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert os.listdir(".") == ["tiny.toml"]


def test_all_errors_are_reported_at_once(here: InProcess) -> None:
    result = here("plan", "tiny.toml", "--extrapolate", "workers=0,paramters=5")
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "nowhere"], "--results nowhere: this option requires --extrapolate"),
        (["--extrapolate", "workers=2", "--results", "nowhere"], "nowhere: no results here"),
    ],
)
def test_results_that_cannot_be_read_are_refused(here: InProcess, arguments: list[str], message: str) -> None:
    result = here("plan", "tiny.toml", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_results_of_other_cells_are_refused(here: InProcess, finished: Any) -> None:
    options = ("--extrapolate", "workers=9", "--results", finished.results)
    result = here("plan", "tiny.toml", *options, "--set", "budget.steps=7")
    assert result.exit_code == 2
    assert "none of the cells of tiny.toml is in this folder" in result.stderr


def test_without_results_a_number_that_is_not_exact_is_a_bound(here: InProcess) -> None:
    result = here("plan", "tiny.toml", "--extrapolate", "workers=1e6,parameters=1e11", "--output-format", "json")
    assert result.exit_code == 0, result.output
    synchronous, fda = json.loads(result.stdout)
    assert synchronous["bytes_least"] == synchronous["bytes_most"] == 31 * 2 * 10**6 * 4 * 10**11
    assert (synchronous["syncs_basis"], fda["syncs_basis"]) == ("exact", "bound")
    assert (fda["syncs_least"], fda["syncs_most"], fda["compute_s"]) == (0, 30, None)
    assert "no results are read: syncs are exact or bounds" in result.stderr


def test_with_results_measured_and_checked_values_are_marked(here: InProcess, finished: Any) -> None:
    options = ("--extrapolate", "workers=1000", "--results", finished.results)
    result = here("plan", "tiny.toml", *options)
    assert result.exit_code == 0, result.output
    costs, times = result.stdout.split("\n\n")
    header, synchronous, fda = costs.splitlines()
    assert [
        name for name in ("source of syncs", "bytes (paper)", "memory of a process", "checked") if name not in header
    ] == []
    assert re.search(r"1,000 +51,466 +30 .* exact .* bytes of 1 of 1 cells$", synchronous)
    assert re.search(r"measured at K=2 d=51,466 .* bytes of 1 of 1 cells$", fda)
    assert "communication on wan-100Mbps-40ms" in times.splitlines()[0]
    assert len(times.splitlines()) == 3
    assert "sync rates and the time of a step are those measured in " in result.stderr


def test_the_time_on_the_fleets_of_the_suite_needs_measured_steps(
    here: InProcess, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # measured step times of two cells differ by more than the strategies do
    monkeypatch.setattr("fdabench.planning.extrapolate._worker_steps_per_s", lambda cell_id, results: 1000.0)
    fleet = '[[fleet]]\nname = "lab"\nstep = { kind = "exponential" }\nbandwidth_mbps = 1000\n'
    text = Path("tiny.toml").read_text(encoding="utf-8")
    Path("tiny.toml").write_text(text.replace("[[workload]]", f"{fleet}\n[[workload]]", 1), encoding="utf-8")
    options = ("plan", "tiny.toml", "--extrapolate", "workers=8", "--output-format", "json")
    bounds = json.loads(here(*options).stdout)
    assert {row["fleet_lab_least_s"] for row in bounds} == {None}
    synchronous, fda = json.loads(here(*options, "--results", finished.results).stdout)
    # both wait at every step for the slowest of 8 workers, 2.7 times as long as the mean
    for row in (synchronous, fda):
        assert row["fleet_lab_least_s"] == row["fleet_lab_most_s"] > 2.5 * row["compute_s"]
    assert synchronous["fleet_lab_least_s"] > fda["fleet_lab_least_s"]


def test_large_counts_of_bytes_have_units() -> None:
    assert [format_bytes(10**power) for power in (3, 15, 18, 21, 24, 30)] == [
        "1.00 kB",
        "1.00 PB",
        "1.00 EB",
        "1.00 ZB",
        "1.00 YB",
        "1,000,000 YB",
    ]


def test_the_worked_example_follows_from_its_formulas() -> None:
    """The page's own bytes from its syncs: 2 K n for each and for the start, and K n for each state."""
    (table,) = re.findall(r"^strategy .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)[:1]
    header, *rows = table.strip().splitlines()
    columns = re.split(r" {2,}", header)
    workers, n, steps = 10**6, 4 * 7 * 10**9, 600
    states = {"NaiveFDA": 4, "LinearFDA": 8, "SketchFDA": 5004}
    for row in (dict(zip(columns, re.split(r" {2,}", line), strict=True)) for line in rows):
        sync = (int(row["syncs"]) + 1) * 2 * workers * n
        assert row["bytes (paper)"] == format_bytes(sync + steps * workers * states.get(row["strategy"], 0))
