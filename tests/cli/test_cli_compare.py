"""`fdabench compare`: one's own results beside the published ones, in every format, or one clear message."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade.paper import Pretended, write_paper

InProcess = Callable[..., Any]


@pytest.fixture
def paper() -> Path:
    """A cell of the paper's own setting at nominal epoch 100: 500 rounds, where 450 were published, and 98.91 %."""
    return write_paper(Path("hand"), [Pretended([(18_750, 0.9891, 500)], [100])])


def test_a_row_for_each_counterpart(here: InProcess, paper: Path) -> None:
    said = here("compare", paper, "--published")
    assert said.exit_code == 0
    header, *rows = said.stdout.splitlines()
    assert header.split()[:5] == ["model", "partition", "strategy", "K", "θ"]
    (rounds,) = [row for row in rows if "rounds at epoch 100" in row]
    assert " ".join(rounds.split()) == "lenet5 iid-file-order LinearFDA 10 1 rounds at epoch 100 450 500 1/1 1 1.1× –"
    (accuracy,) = [row for row in rows if "accuracy at epoch 100" in row]
    assert "98.81 %" in accuracy
    assert "+0.10 points" in accuracy
    assert "8 of 522 published numbers have a counterpart; 514 are left out" in said.stderr


def test_programs_get_full_numbers(here: InProcess, paper: Path) -> None:
    as_json = json.loads(here("compare", paper, "--published", "--output-format", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(here("compare", paper, "--published", "--output-format", "csv").stdout)))
    assert len(as_json) == len(as_csv) == 8
    assert list(as_json[0]) == list(as_csv[0])
    (rounds,) = [row for row in as_json if row["quantity"] == "rounds" and row["epoch"] == 100]
    assert (rounds["published"], rounds["measured"], rounds["points"]) == (450.0, 500.0, None)
    assert rounds["ratio"] == pytest.approx(500 / 450)
    assert here("compare", paper, "--published", "--output-format", "markdown").stdout.startswith("| model | partition")


def test_without_published_it_says_that_two_results_cannot_be_compared_yet(here: InProcess, paper: Path) -> None:
    said = here("compare", paper, paper)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "give --published" in said.stderr
    assert "not there yet" in said.stderr


def test_results_that_have_nothing_in_common_with_the_paper_are_refused(here: InProcess, finished: Any) -> None:
    said = here("compare", finished.results, "--published")
    assert (said.exit_code, said.stdout) == (2, "")
    assert "none of the 522 published numbers has a counterpart" in said.stderr
    assert "densenet121 on cifar10 with 5 to 30 workers" in said.stderr


def test_other_commands_give_csv_too(here: InProcess) -> None:
    header, *rows = csv.reader(io.StringIO(here("list", "models", "--output-format", "csv").stdout))
    assert header == ["name", "images", "about"]
    assert len({len(row) for row in [header, *rows]}) == 1
