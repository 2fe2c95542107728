"""The checkpoint of a cell: a cell that was stopped or killed resumes from it and gets the same bits.

It is one file beside the cell's record: the state as `experiment.checkpoint.encoding` writes it, and its SHA-256. It
holds no code. A file of which any part does not fit is not used: one remark says why, and the cell begins at step 0.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, Any

from fdabench.errors import ResultError
from fdabench.experiment.checkpoint.encoding import FORMAT_VERSION, Codec, read, write
from fdabench.experiment.checkpoint.serialize import NotSerializableError, from_plain, to_plain
from fdabench.experiment.checkpoint.state import CheckpointState
from fdabench.regular_files import open_regular
from fdabench.results.files import atomic_write, remove

DEFAULT_INTERVAL_S = 60.0
MAX_TIME_SHARE = 0.01
"""The share of the time that writing may take; large models are written less often."""
_EARLIER_FORMATS = b"PK"
"""The first bytes of checkpoints of an earlier format."""
_DIGEST, _PIECE = hashlib.sha256().digest_size, 1 << 20


def _no_warning(text: str) -> None:
    pass


@dataclass
class CheckpointFile:
    """The checkpoint file of one cell, and when it is written.

    `about` has to be equal for a checkpoint to be used: code, engine, versions. `check` raises where a state that was
    read does not belong to the cell.
    """

    path: Path
    fingerprint: Mapping[str, Any]
    codec: Codec
    check: Callable[[Any], None]
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
        """Write a checkpoint, or remark why that failed; the cell goes on in both cases."""
        if self._disabled:
            return
        begun = monotonic()
        try:
            packed = to_plain({"about": self._text(), "snapshot": snapshot}, self.codec.records)
            atomic_write(self.path, lambda file: _write(file, packed))
        except NotSerializableError as error:
            self.give_up(error)
        except (ResultError, RuntimeError) as error:
            # the disk is full or the folder was removed; a later attempt may succeed
            self.on_warning(f"no checkpoint: {error}")
        took = monotonic() - begun
        self._next_due = monotonic() + max(self.interval_s, took / MAX_TIME_SHARE)

    def give_up(self, error: Exception) -> None:
        """Write no checkpoints of this cell any more."""
        if not self._disabled:
            self._disabled = True
            self.on_warning(f"no checkpoints: its state has {error} in it; if it is stopped, it begins anew")

    def read(self) -> CheckpointState | None:
        """The last checkpoint; None if there is none, it is damaged, or what it depends on has changed."""
        if not os.path.lexists(self.path):
            return None
        try:
            snapshot = self._read()
        except Exception as error:
            # whatever is wrong with the file, the cell can run from step 0
            self.refuse(error)
            return None
        if snapshot is None:
            self.on_warning("its checkpoint is of other code or another machine, so it begins anew")
        return snapshot

    def refuse(self, error: Exception) -> None:
        """Remark in one line why the checkpoint is not used."""
        reason = getattr(error, "strerror", None) or f"{error}" or type(error).__name__
        if isinstance(error, LookupError):
            reason = f"it has no {error}"
        line = " ".join(reason.split()).encode("unicode_escape").decode()
        self.on_warning(f"its checkpoint cannot be used, so it begins anew: {self.path}: {line:.300}")

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
        found = packed.tree["dict"]
        about, state = (value for name, value in found if name in ("about", "snapshot"))
        if about != self._text():
            return None
        snapshot: CheckpointState = from_plain(packed._replace(tree=state), self.codec.records)
        self.check(snapshot)
        return snapshot

    def _text(self) -> str:
        return json.dumps(self.fingerprint, sort_keys=True)

    def remove(self) -> None:
        """Remove the checkpoint of a cell that has a result; a failure is only remarked."""
        try:
            remove(self.path)
        except ResultError as error:
            self.on_warning(str(error))


class _HashingWriter:
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def write(self, content: Any) -> None:
        self.sha256.update(content)
        self._file.write(content)


def _write(file: IO[bytes], packed: Any) -> None:
    sink = _HashingWriter(file)
    write(sink, packed)
    file.write(sink.sha256.digest())


def _digest(file: IO[bytes], size: int) -> bytes:
    """Of the next `size` bytes."""
    sha256 = hashlib.sha256()
    while size > 0 and (piece := file.read(min(_PIECE, size))):
        sha256.update(piece)
        size -= len(piece)
    return sha256.digest()
