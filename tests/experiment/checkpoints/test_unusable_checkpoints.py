"""A checkpoint of other code, of another machine, or with damage is reported and not used."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fdabench.experiment.checkpoint.encoding import FORMAT_VERSION
from fdabench.experiment.run_cell import ExecutionContext
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell
from support.checkpoints.runs import STEPS, execution_context, run_cells

Cells = Callable[..., list[Cell]]


@pytest.fixture
def stopped(cells: Cells, tmp_path: Path) -> tuple[Cell, ResultsFolder]:
    """A cell that was stopped after seven steps."""
    cell, store = cells()[4], ResultsFolder(tmp_path / "results")
    assert run_cells([cell], store, execution_context(), 7)[0].steps == 7
    return cell, store


def begins_anew(stopped: tuple[Cell, ResultsFolder], remark: str, on: ExecutionContext | None = None) -> None:
    cell, store = stopped
    (record,) = run_cells([cell], store, on or execution_context())
    assert (record.state, record.resumed_at_step) == ("done", 0)
    assert [text for text in record.remarks if remark in text], record.remarks


def test_a_checkpoint_of_other_code_is_not_used(
    stopped: tuple[Cell, ResultsFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fdabench.experiment.run_cell.code_hashes", lambda config, registry: {"engine/loop.py": "0"})
    begins_anew(stopped, "of other code or another machine")


def test_a_checkpoint_of_another_torch_is_not_used(
    stopped: tuple[Cell, ResultsFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", "1.0")
    begins_anew(stopped, "of other code or another machine")


def test_a_checkpoint_of_another_engine_is_not_used(stopped: tuple[Cell, ResultsFolder]) -> None:
    begins_anew(stopped, "of other code or another machine", execution_context("vectorized"))


def test_a_checkpoint_of_another_number_of_threads_is_not_used(
    stopped: tuple[Cell, ResultsFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    begins_anew(stopped, "of other code or another machine")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_checkpoint_is_not_used(stopped: tuple[Cell, ResultsFolder], share: float) -> None:
    cell, store = stopped
    path = store.checkpoint_path(cell.id)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    begins_anew(stopped, "cannot be used")


def test_a_checkpoint_with_one_wrong_bit_is_not_used(stopped: tuple[Cell, ResultsFolder]) -> None:
    """Among the weights, where torch would not notice."""
    cell, store = stopped
    path = store.checkpoint_path(cell.id)
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 1
    path.write_bytes(whole)
    begins_anew(stopped, "is damaged")


def test_a_checkpoint_contains_no_code(stopped: tuple[Cell, ResultsFolder]) -> None:
    """JSON, and after it numbers and their SHA-256 only."""
    cell, store = stopped
    content = store.checkpoint_path(cell.id).read_bytes()
    assert content.startswith(FORMAT_VERSION)
    begins = len(FORMAT_VERSION) + 8
    header = json.loads(content[begins : begins + int.from_bytes(content[len(FORMAT_VERSION) : begins], "little")])
    (about,) = (value for name, value in header["tree"]["dict"] if name == "about")
    assert json.loads(about)["cell"] == cell.id
    numbers = sum(math.prod(item["shape"]) * getattr(torch, item["dtype"]).itemsize for item in header["tensors"])
    assert len(content) == begins + len(json.dumps(header)) + numbers + 32
    assert content[-32:] == hashlib.sha256(content[:-32]).digest()


def test_the_record_has_the_step_at_which_the_cell_resumed(stopped: tuple[Cell, ResultsFolder]) -> None:
    cell, store = stopped
    before = json.loads((store.cell_dir(cell.id) / "cell.json").read_text())
    assert (before["state"], before["steps"], before["attempts"], before["resumed_at_step"]) == ("interrupted", 7, 1, 0)
    run_cells([cell], store, execution_context())
    after = json.loads((store.cell_dir(cell.id) / "cell.json").read_text())
    assert (after["state"], after["steps"], after["attempts"], after["resumed_at_step"]) == ("done", STEPS, 2, 7)


def test_partially_written_files_are_removed(stopped: tuple[Cell, ResultsFolder]) -> None:
    """By a process that was killed while it wrote: nobody reads it, and the next attempt removes it."""
    cell, store = stopped
    for name in (".cell.json.x1", ".checkpoint.pt.x2", ".evals.parquet.x3"):
        (store.cell_dir(cell.id) / name).write_bytes(b"half")
    assert run_cells([cell], store, execution_context())[0].resumed_at_step == 7
    assert {path.suffix for path in store.cell_dir(cell.id).iterdir()} == {".json", ".parquet"}
