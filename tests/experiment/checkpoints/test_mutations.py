"""A changed checkpoint gives one warning, and the cell starts at step 0 and ends like an uninterrupted one."""

import hashlib
import json
import os
import pickle
import random
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import torch

from fdabench.experiment.checkpoint.encoding import codec_for
from fdabench.experiment.checkpoint.file import CheckpointFile
from fdabench.experiment.checkpoint.state import CheckpointState
from fdabench.experiment.checkpoint.state_schema import check, sizes_of
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.run_cell import CellCallbacks, run_cells_batched
from fdabench.registry.registry import BUILT_IN
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.cells import CPU
from support.checkpoints.runs import tables
from support.checkpoints.states import STATES, STOP
from support.suites import digits_suite

SUITE = digits_suite(
    ['kind = "fedadam"\nlocal_steps = 2\nserver = { preset = "keras" }'],
    name="mutated",
    steps=12,
    every_steps=3,
    targets=[0.2],
    batch_size=8,
)
DIGEST = 32


class Stopped(NamedTuple):
    """A stopped cell, its checkpoint, and the tables of an uninterrupted run."""

    cell: Cell
    record: bytes
    checkpoint: bytes
    tables: dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    folder = tmp_path_factory.mktemp("mutated")
    (folder / "mutated.toml").write_text(SUITE)
    (cell,) = read_suite(folder / "mutated.toml").cells
    whole, broken = ResultsFolder(folder / "whole"), ResultsFolder(folder / "broken")
    run_cells_batched([cell], whole, CPU, CellCallbacks())
    steps = iter([False] * (STOP - 1))
    (record,) = run_cells_batched([cell], broken, CPU, CellCallbacks(should_stop=lambda: next(steps, True)))
    assert (record.state, record.steps) == ("interrupted", STOP)
    path = broken.checkpoint_path(cell.id)
    return Stopped(cell, path.with_name("cell.json").read_bytes(), path.read_bytes(), tables(whole, cell))


def gone_on(stopped: Stopped, folder: Path, put: Callable[[Path], object]) -> CellRecord:
    """Resume the cell after `put` has replaced its checkpoint, and return its record.

    Raises:
        AssertionError: it has failed, or its tables are not those of a cell that nobody disturbed.
    """
    store = ResultsFolder(folder / "results")
    path = store.checkpoint_path(stopped.cell.id)
    path.parent.mkdir(parents=True)
    path.with_name("cell.json").write_bytes(stopped.record)
    put(path)
    (record,) = run_cells_batched([stopped.cell], store, CPU, CellCallbacks())
    assert record.state == "done", record
    for name, frame in stopped.tables.items():
        pd.testing.assert_frame_equal(tables(store, stopped.cell)[name], frame, check_exact=True, obj=name)
    return record


def assert_told(record: CellRecord, reason: str = "") -> None:
    """The warning is one short line that names the file."""
    assert record.resumed_at_step == 0
    (remark,) = record.remarks
    assert all(text in remark for text in ("so it restarts: ", "checkpoint.pt: ", reason)), remark
    assert remark.isprintable()
    assert len(remark) < 600


def mended(content: bytes) -> bytes:
    """Return a checkpoint with the correct SHA-256 of its changed content."""
    return content[:-DIGEST] + hashlib.sha256(content[:-DIGEST]).digest()


def changed(stopped: Stopped, change: Callable[[CheckpointState], CheckpointState]) -> bytes:
    """The checkpoint with another state, in the format of fdabench."""
    codec = codec_for(stopped.cell.config, BUILT_IN, torch.device("cpu"))
    actual = codec.decode(stopped.checkpoint[:-DIGEST])
    content = codec.encode({**actual, "snapshot": change(actual["snapshot"])})
    return content + hashlib.sha256(content).digest()


def opened(path: Path, stopped: Stopped, message: list[str]) -> CheckpointFile:
    """Open a checkpoint as `run_cells_batched` does."""
    cell, codec = stopped.cell, codec_for(stopped.cell.config, BUILT_IN, torch.device("cpu"))
    about = json.loads(codec.decode(stopped.checkpoint[:-DIGEST])["about"])
    return CheckpointFile(
        path, about, codec, lambda state: check(state, sizes_of(cell.id, ResolvedCell(cell.config))), message.append
    )


@pytest.mark.parametrize("name", STATES)
def test_a_state_with_invalid_values_is_refused(stopped: Stopped, tmp_path: Path, name: str) -> None:
    """By a rule for the part that is not as it should be, even where its SHA-256 fits."""
    message: list[str] = []
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(changed(stopped, STATES[name]))
    assert opened(path, stopped, message).read() is None
    (remark,) = message
    assert ", expected " in remark or "rows is not JSON" in remark or "is no state of a generator" in remark


@pytest.mark.slow
@pytest.mark.parametrize("name", STATES)
def test_a_state_of_another_cell_is_reported_and_not_used(stopped: Stopped, tmp_path: Path, name: str) -> None:
    content = changed(stopped, STATES[name])
    assert_told(gone_on(stopped, tmp_path, lambda path: path.write_bytes(content)))


def test_a_state_that_is_written_again_is_used(stopped: Stopped, tmp_path: Path) -> None:
    """Or the test above would hold whatever it wrote."""
    content = changed(stopped, lambda state: state)
    record = gone_on(stopped, tmp_path, lambda path: path.write_bytes(content))
    assert (record.resumed_at_step, record.remarks) == (STOP, [])


def test_one_changed_bit_anywhere_is_detected(stopped: Stopped, tmp_path: Path) -> None:
    """At 200 places, and in each of the first bytes and of the last."""
    rng, size = random.Random(0), len(stopped.checkpoint)
    places = [*(rng.randrange(size) for _ in range(200)), *range(40), *range(size - DIGEST, size)]
    store = ResultsFolder(tmp_path / "results")
    path = store.checkpoint_path(stopped.cell.id)
    path.parent.mkdir(parents=True)
    for place in places:
        flipped = bytearray(stopped.checkpoint)
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        message: list[str] = []
        checkpoint = opened(path, stopped, message)
        assert checkpoint.read() is None, place
        assert len(message) == 1, place
    assert_told(gone_on(stopped, tmp_path / "run", lambda path: path.write_bytes(flipped)), "is damaged")


def test_the_unchanged_file_is_read(stopped: Stopped, tmp_path: Path) -> None:
    message: list[str] = []
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(stopped.checkpoint)
    assert opened(path, stopped, message).read() is not None
    assert message == []


FILES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "one byte": lambda whole: whole[:1],
    "its first line": lambda whole: whole[:17],
    "half": lambda whole: whole[: len(whole) // 2],
    "all but a byte": lambda whole: whole[:-1],
    "a byte more": lambda whole: whole + b"\0",
    "twice": lambda whole: whole * 2,
    "zeros": lambda whole: bytes(len(whole)),
    "random": lambda whole: random.Random(0).randbytes(len(whole)),
    "a line of text": lambda whole: b"no checkpoint\n" * 100,
    "half, with a SHA-256 that fits": lambda whole: mended(whole[: len(whole) // 2] + bytes(DIGEST)),
    "a byte more, with a SHA-256 that fits": lambda whole: mended(whole[:-DIGEST] + bytes(1 + DIGEST)),
    "no header": lambda whole: mended(whole[:17] + bytes(8 + DIGEST)),
    "a header without end": lambda whole: mended(whole[:17] + b"\xff" * 8 + whole[25:]),
    "a header of nothing": lambda whole: mended(whole[:17] + (2).to_bytes(8, "little") + b"{}" + bytes(DIGEST)),
    "a header of a list": lambda whole: mended(whole[:17] + (2).to_bytes(8, "little") + b"[]" + bytes(DIGEST)),
    "a deep header": lambda whole: mended(
        whole[:17] + (200_000).to_bytes(8, "little") + b"[" * 200_000 + bytes(DIGEST)
    ),
    "tensors that would fill a disk": lambda whole: mended(whole.replace(b'"shape": [2, ', b'"shape": [9, ', 1)),
    "tensors of less than nothing": lambda whole: mended(whole.replace(b'"shape": [2, ', b'"shape":[-2, ', 1)),
    "tensors of other numbers": lambda whole: mended(whole.replace(b'"dtype": "float32"', b'"dtype": "float99"', 1)),
    "a class of the system": lambda whole: mended(
        whole.replace(b"fdabench.engine.loop:TrainingState", b"subprocess:Popen                  ", 1)
    ),
    "an earlier fdabench's": lambda whole: b"PK\x03\x04" + whole,
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_a_checkpoint_is_reported_and_not_used(stopped: Stopped, tmp_path: Path, name: str) -> None:
    content = FILES[name](stopped.checkpoint)
    assert content != stopped.checkpoint
    assert_told(gone_on(stopped, tmp_path, lambda path: path.write_bytes(content)))


def test_a_pickle_is_not_run(stopped: Stopped, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Marks:
        def __reduce__(self) -> Any:
            return Path.touch, (mark,)

    content = pickle.dumps(Marks())
    assert_told(gone_on(stopped, tmp_path / "plain", lambda path: path.write_bytes(content)))
    assert_told(gone_on(stopped, tmp_path / "torch", lambda path: torch.save(Marks(), path)), "an earlier fdabench")
    assert not mark.exists()


@pytest.fixture
def in_a_minute() -> Iterator[None]:
    """End a test that waits for a pipe after a minute."""
    signal.alarm(60)
    yield
    signal.alarm(0)


def bound_socket(path: Path) -> None:
    """Create a socket by a relative path, because paths of sockets must be short."""
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "it is no file, but a pipe"),
    "folder": (Path.mkdir, "it is no file, but a folder"),
    "socket": (bound_socket, "it is no file, but a socket"),
}


@pytest.mark.parametrize("name", NO_FILES)
@pytest.mark.usefixtures("in_a_minute")
def test_a_path_that_is_not_a_file_is_reported_and_does_not_block_the_cell(
    stopped: Stopped, tmp_path: Path, name: str
) -> None:
    put, reason = NO_FILES[name]
    store = ResultsFolder(tmp_path / "results")
    record = gone_on(stopped, tmp_path, put)
    assert record.resumed_at_step == 0
    assert reason in record.remarks[0]
    assert store.read_record(stopped.cell.id) is not None


@pytest.mark.parametrize("name", ["server 'x'", "no second moment", "all moments are text", "no rest", "no trace"])
def test_a_state_without_a_possible_next_step_is_reported_and_not_used(
    stopped: Stopped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What no rule forbids, such as the state of somebody else's server, still ends no cell."""
    monkeypatch.setattr("fdabench.experiment.run_cell.check", lambda state, sizes: None)
    content = changed(stopped, STATES[name])
    record = gone_on(stopped, tmp_path, lambda path: path.write_bytes(content))
    assert_told(record, "the first step from it ends in ")


def test_the_state_of_a_cell_is_the_same_after_it_was_written_and_read(stopped: Stopped) -> None:
    """To the byte."""
    codec = codec_for(stopped.cell.config, BUILT_IN, torch.device("cpu"))
    content = stopped.checkpoint[:-DIGEST]
    assert codec.encode(codec.decode(content)) == content
