"""The first steps of every strategy of the quickstart, against stored numbers.

A change of these numbers changes everybody's results. Where it is meant, `FDABENCH_WRITE_GOLDEN=1 pytest tests/golden`
writes them anew, and the change log says so.

They hold on every processor: the file names the environment class that they were written on, and on another one losses
have other last bits, at most 2.2e-7 after 20 steps with MKL_CBWR=COMPATIBLE and AVX2, and with
ATEN_CPU_CAPABILITY=default and avx2. `LOSS` is 45 times that. Syncs and bytes are equal as long as no estimate of the
variance comes near theta, which a test looks at.
"""

import os
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from fdabench.gate.baseline.keys import environment_class
from fdabench.planning.doctor import current_environment
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.cells import train_cell

SUITE = Path(__file__).parents[2] / "suites" / "quickstart.toml"
GOLDEN = Path(__file__).with_name("quickstart.txt")
CHANGES = ("budget.steps=20", "eval.every_steps=2", "seeds=[0]", "exclude=[{partition = 'iid'}]")
CELLS = {cell.label: cell for cell in read_suite(SUITE, CHANGES).cells}


LOSS = 1e-5
"""What the test loss may be off, in nats: rounding on another processor, and no more."""
CLEAR_OF_THETA = 1e-3
"""How far every estimate is from theta, of theta: MKL_CBWR=COMPATIBLE moves none by more than 3.4e-7 of its size."""


class Row(NamedTuple):
    """An evaluation: integers are compared exactly, the test loss to `LOSS`."""

    step: int
    syncs: int
    bytes_total: int
    loss: float

    def __str__(self) -> str:
        return f"{self.step:2} {self.syncs:2} {self.bytes_total:9} {self.loss:.7f}"


def environment_line() -> str:
    """The environment class of this machine, as a line."""
    actual = environment_class(current_environment(torch.device("cpu")))
    return ", ".join(f"{key} {value}" for key, value in actual.items())


def computed(cell: Cell) -> list[Row]:
    evals = train_cell(cell.config).tables["evals"]
    return [Row(row["step"], row["syncs"], row["paper_bytes_total"], row["test_loss"]) for row in evals]


def written() -> dict[str, list[Row]]:
    """By strategy: a line with its label, and then a row for each evaluation."""
    blocks = GOLDEN.read_text(encoding="utf-8").strip().split("\n\n")[1:]
    return {block.splitlines()[0]: [_row(line) for line in block.splitlines()[1:]] for block in blocks}


def _row(line: str) -> Row:
    step, syncs, bytes_total, loss = line.split()
    return Row(int(step), int(syncs), int(bytes_total), float(loss))


@pytest.fixture(scope="module")
def golden() -> dict[str, list[Row]]:
    if os.environ.get("FDABENCH_WRITE_GOLDEN"):
        blocks = ["\n".join([label, *map(str, computed(cell))]) for label, cell in CELLS.items()]
        head = "Quickstart, Dirichlet, seed 0: step, syncs, bytes_total, test loss. Written by FDABENCH_WRITE_GOLDEN=1."
        GOLDEN.write_text("\n\n".join([f"{head}\nOn {environment_line()}", *blocks]) + "\n", encoding="utf-8")
    return written()


@pytest.mark.parametrize("label", CELLS)
def test_the_first_steps_equal_the_stored_numbers(golden: dict[str, list[Row]], label: str) -> None:
    actual = computed(CELLS[label])
    assert [row[:3] for row in actual] == [row[:3] for row in golden[label]]
    assert [row.loss for row in actual] == pytest.approx([row.loss for row in golden[label]], abs=LOSS, rel=0)


@pytest.mark.parametrize("label", [label for label, cell in CELLS.items() if cell.config.strategy.kind == "fda"])
def test_no_estimate_is_within_rounding_of_theta(label: str) -> None:
    """Otherwise the written numbers would hold on one class of processors only."""
    config = CELLS[label].config
    trace = train_cell(config).tables["trace"]
    theta = config.strategy.parameters["theta"]
    assert len(trace) == 20
    assert min(abs(row["estimate"] / theta - 1) for row in trace) > CLEAR_OF_THETA


def test_the_file_names_the_environment_class_of_its_numbers() -> None:
    assert "\nOn torch " in GOLDEN.read_text(encoding="utf-8").split("\n\n")[0]


def test_the_file_has_ten_rows_for_every_strategy_of_the_suite(golden: dict[str, list[Row]]) -> None:
    assert {label: len(rows) for label, rows in golden.items()} == dict.fromkeys(CELLS, 10)


def test_the_numbers_differ_between_strategies(golden: dict[str, list[Row]]) -> None:
    assert len({rows[-1].loss for rows in golden.values()}) == len(golden)
    assert all(rows[-1].syncs > 0 for rows in golden.values()), "every strategy synchronizes within the budget"
