"""`fdabench compare`: results compared with published or other results, in every format, or one error message."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy.stats import gmean

from support.cells import run_suite
from support.lenet5_results import SyntheticCell, write_lenet5_results

InProcess = Callable[..., Any]


@pytest.fixture
def paper() -> Path:
    """A cell with the settings of the paper at nominal epoch 100: 500 rounds (published: 450), accuracy 98.91 %."""
    return write_lenet5_results(Path("hand"), [SyntheticCell([(18_750, 0.9891, 500)], [100])])


def test_compare_has_a_row_for_each_published_counterpart(here: InProcess, paper: Path) -> None:
    result = here("compare", paper, "--published")
    assert result.exit_code == 0
    header, *rows = result.stdout.splitlines()
    assert header.split()[:5] == ["model", "partition", "strategy", "K", "θ"]
    (rounds,) = [row for row in rows if "rounds at epoch 100" in row]
    assert " ".join(rounds.split()) == "lenet5 round-robin LinearFDA 10 1 rounds at epoch 100 450 500 1/1 1 1.1× –"
    (accuracy,) = [row for row in rows if "accuracy at epoch 100" in row]
    assert "98.81 %" in accuracy
    assert "+0.10 points" in accuracy
    assert "8 of 522 published numbers have a counterpart; 514 are left out" in result.stderr


def test_json_and_csv_have_unrounded_numbers(here: InProcess, paper: Path) -> None:
    as_json = json.loads(here("compare", paper, "--published", "--output-format", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(here("compare", paper, "--published", "--output-format", "csv").stdout)))
    assert len(as_json) == len(as_csv) == 8
    assert list(as_json[0]) == list(as_csv[0])
    (rounds,) = [row for row in as_json if row["quantity"] == "rounds" and row["epoch"] == 100]
    assert (rounds["published"], rounds["measured"], rounds["points"]) == (450.0, 500.0, None)
    assert rounds["ratio"] == pytest.approx(500 / 450)
    assert here("compare", paper, "--published", "--output-format", "markdown").stdout.startswith("| model | partition")


def test_two_results_folders_are_compared_cell_by_cell(here: InProcess) -> None:
    """Three seeds; B's FDA syncs at a lower theta, so it is another configuration and sends more."""
    suite = Path("tiny.toml")
    suite.write_text(suite.read_text() + "every = 1\nname = 'FDA'\n")
    for out, theta in (("a", 0.3), ("b", 0.05)):
        run_suite(suite, Path(out), ["seeds=[0, 1, 2]", f"strategy.1.theta={theta}"])
    same = here("compare", "a", "a")
    assert same.exit_code == 0
    assert {line.split()[-1] for line in same.stdout.splitlines()[1:]} == {"same"}
    actual = json.loads(here("compare", "a", "b", "--output-format", "json").stdout)
    by_cell = {(row["cell"].split()[0], row["metric"]): row for row in actual}
    assert len(by_cell) == len(actual)
    sent = by_cell["synchronous", "bytes_total"], by_cell["fda", "bytes_total"]
    assert (sent[0]["verdict"], sent[0]["seeds"]) == ("same", 3)
    assert sent[1]["verdict"] == "worse"
    assert 0 < sent[1]["change_low"] < sent[1]["change"] == pytest.approx(sent[1]["b"] / sent[1]["a"] - 1)
    (whole,) = [row for row in actual if row["cell"] == "all cells (geometric mean)" and row["metric"] == "bytes_total"]
    assert 1 + whole["change"] == pytest.approx((1 + sent[1]["change"]) ** 0.5)
    assert "differ in strategy.theta" in here("compare", "a", "b").stderr


def test_a_cell_is_compared_with_the_one_of_the_closest_settings(here: InProcess) -> None:
    """The label, the data and the workers of two cells are the same, and only the closest one is the counterpart."""
    suite = Path("tiny.toml")
    suite.write_text(suite.read_text() + "every = 1\nname = 'FDA'\n")
    for out, theta, lr in (("a", 0.3, "[0.001, 0.01]"), ("b", 0.05, "[0.001, 0.01]"), ("c", 0.05, "0.01")):
        rates = f'workload.optimizer={{kind="adam", lr={lr}}}'
        run_suite(suite, Path(out), ["seeds=[0, 1]", f"strategy.1.theta={theta}", rates])
    result = here("compare", "a", "b", "--output-format", "json")
    assert result.stderr.endswith("and batch size; they differ in strategy.theta\n")
    rows = {row["cell"]: row for row in json.loads(result.stdout) if row["metric"] == "bytes_total"}
    for lr in ("0.001", "0.01"):
        row = rows[f"fda linear theta=0.3 | digits mlp | dirichlet(1) | K=2 b=32 | lr={lr}, theta 0.3 -> 0.05"]
        for side in "ab":
            runs = pd.read_parquet(f"{side}/runs.parquet").query(f"label == 'FDA' and lr == {lr}")
            assert row[side] == pytest.approx(gmean(runs["bytes_total"]))
        assert rows[f"synchronous | digits mlp | dirichlet(1) | K=2 b=32 | lr={lr}"]["verdict"] == "same"
    part = here("compare", "a", "c")
    assert "4 runs not compared: there is no counterpart" in part.stderr
    assert "lr=0.001" not in part.stdout


def test_results_that_cannot_be_compared_are_refused(here: InProcess, paper: Path, finished: Any) -> None:
    alone = here("compare", paper)
    assert (alone.exit_code, alone.stdout) == (2, "")
    assert "1 results folder given; give two, A and B, or --published" in alone.stderr
    strangers = here("compare", finished.results, paper)
    assert (strangers.exit_code, strangers.stdout) == (4, "")
    assert "no run of one has a counterpart in the other; " in strangers.stderr


def test_results_that_have_nothing_in_common_with_the_paper_are_refused(here: InProcess, finished: Any) -> None:
    result = here("compare", finished.results, "--published")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "none of the 522 published numbers has a counterpart" in result.stderr
    assert "densenet121 on cifar10 with 5 to 30 workers" in result.stderr


def test_other_commands_support_csv(here: InProcess) -> None:
    header, *rows = csv.reader(io.StringIO(here("list", "models", "--output-format", "csv").stdout))
    assert header == ["name", "images", "about", "display_name", "memory_vectors", "cites", "formula"]
    assert len({len(row) for row in [header, *rows]}) == 1
