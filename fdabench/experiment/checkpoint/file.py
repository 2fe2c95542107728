"""Writes and reads checkpoint files, from which a cell that was stopped or killed resumes with the same bits.

A checkpoint is one file in the folder of the cell: the state, as `experiment.checkpoint.encoding` writes it, and its
SHA-256. A file that is damaged or does not belong to the cell is not used: a remark gives the reason, and the cell
starts at step 0.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO

from fdabench.errors import ResultError
from fdabench.experiment.checkpoint.encoding import FORMAT_VERSION, StateCodec, read, write
from fdabench.experiment.checkpoint.serialize import NotSerializableError, PlainState, from_plain, to_plain
from fdabench.experiment.checkpoint.state import CheckpointState
from fdabench.regular_files import open_regular
from fdabench.results.files import atomic_write, remove

DEFAULT_INTERVAL_S = 60.0
MAX_TIME_SHARE = 0.01
"""The share of time that writing may take. If it takes more, as with large models, the interval is extended."""
_EARLIER_FORMATS = b"PK"
"""The first bytes of checkpoints of an earlier format."""
_DIGEST, _PIECE = hashlib.sha256().digest_size, 1 << 20


def _no_warning(text: str) -> None:
    pass


@dataclass
class CheckpointFile:
    """The checkpoint file of one cell, and when it is written.

    Args:
        path: of the file.
        fingerprint: code, engine and versions. A checkpoint is only used if its fingerprint is equal.
        codec: encodes the states of the cell.
        check: raises an exception if a state does not belong to the cell.
        on_warning: is called with the reason why a checkpoint was not written or not used.
        interval_s: seconds between two checkpoints, at least.
    """

    path: Path
    fingerprint: Mapping[str, object]
    codec: StateCodec
    check: Callable[[object], None]
    on_warning: Callable[[str], None] = _no_warning
    interval_s: float = DEFAULT_INTERVAL_S
    _next_due: float = field(init=False)
    _disabled: bool = False

    def __post_init__(self) -> None:
        self._next_due = monotonic() + self.interval_s

    def is_due(self) -> bool:
        """Whether the interval since the last checkpoint is over."""
        return monotonic() >= self._next_due

    def save(self, snapshot: CheckpointState) -> None:
        """Write a checkpoint. If that fails, the reason is reported by `on_warning`, and the cell continues."""
        if self._disabled:
            return
        start = monotonic()
        try:
            packed = to_plain({"about": self._text(), "snapshot": snapshot}, self.codec.records)
            atomic_write(self.path, lambda file: _write(file, packed))
        except NotSerializableError as error:
            self.give_up(error)
        except (ResultError, RuntimeError) as error:
            # the disk is full or the folder was removed; a later attempt may succeed
            self.on_warning(f"no checkpoint: {error}")
        took = monotonic() - start
        self._next_due = monotonic() + max(self.interval_s, took / MAX_TIME_SHARE)

    def give_up(self, error: Exception) -> None:
        """Disable checkpoints of this cell, because its state cannot be stored."""
        if not self._disabled:
            self._disabled = True
            self.on_warning(f"no checkpoints: its state has {error} in it; if it is stopped, it restarts")

    def read(self) -> CheckpointState | None:
        """Read the last checkpoint.

        Returns:
            None if there is none, it is damaged, or its fingerprint differs.
        """
        if not os.path.lexists(self.path):
            return None
        try:
            snapshot = self._read()
        except Exception as error:
            # with any error in the file, the cell can start at step 0
            self.refuse(error)
            return None
        if snapshot is None:
            self.on_warning("its checkpoint is of other code or another machine, so it restarts")
        return snapshot

    def refuse(self, error: Exception) -> None:
        """Report in one line why the checkpoint is not used."""
        reason = getattr(error, "strerror", None) or f"{error}" or type(error).__name__
        if isinstance(error, LookupError):
            reason = f"it has no {error}"
        line = " ".join(reason.split()).encode("unicode_escape").decode()
        self.on_warning(f"its checkpoint cannot be used, so it restarts: {self.path}: {line:.300}")

    def _read(self) -> CheckpointState | None:
        with open_regular(self.path) as file:
            size = os.fstat(file.fileno()).st_size - _DIGEST
            form = file.read(len(FORMAT_VERSION))
            if form.startswith(_EARLIER_FORMATS):
                raise ValueError("an earlier fdabench has written it")
            if form != FORMAT_VERSION or size < len(form):
                raise ValueError("it is no checkpoint, or cut short")
            file.seek(0)
            if _digest(file, size) != file.read():
                raise ValueError("it is damaged: its content is not what its SHA-256 says")
            file.seek(0)
            packed = read(file, size, self.codec.device)
        content = packed.tree["dict"]
        fingerprint, state = (value for name, value in content if name in ("about", "snapshot"))
        if fingerprint != self._text():
            return None
        snapshot: CheckpointState = from_plain(packed._replace(tree=state), self.codec.records)
        self.check(snapshot)
        return snapshot

    def _text(self) -> str:
        return json.dumps(self.fingerprint, sort_keys=True)

    def remove(self) -> None:
        """Remove the checkpoint of a cell that has a result; a failure is reported by `on_warning`."""
        try:
            remove(self.path)
        except ResultError as error:
            self.on_warning(str(error))


class _HashingWriter:
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def write(self, content: bytes | memoryview) -> None:
        self.sha256.update(content)
        self._file.write(content)


def _write(file: IO[bytes], packed: PlainState) -> None:
    sink = _HashingWriter(file)
    write(sink, packed)
    file.write(sink.sha256.digest())


def _digest(file: IO[bytes], size: int) -> bytes:
    """The SHA-256 of the next `size` bytes."""
    sha256 = hashlib.sha256()
    while size > 0 and (piece := file.read(min(_PIECE, size))):
        sha256.update(piece)
        size -= len(piece)
    return sha256.digest()
