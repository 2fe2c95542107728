"""A cell's course on disk, so that a cell that is stopped or killed goes on from there to the same last bit.

One file beside the cell's record, in plain containers and tensors: it is read with `weights_only`, and runs no code.
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from fdabench.errors import ResultError
from fdabench.results.files import remove, write_with
from fdabench.run.pack import UnstorableError, pack, unpack
from fdabench.run.snapshot import Snapshot

FORM = 1
EVERY_S = 60.0
MOST_OF_THE_TIME = 0.01
"""Large models are written less often, so that writing takes no more than this share."""


def _silent(text: str) -> None:
    pass


@dataclass
class Checkpoint:
    """Where one cell's state is written to, and when. `about` is all that has to be the same for it to be used."""

    path: Path
    about: Mapping[str, Any]
    device: torch.device
    remark: Callable[[str], None] = _silent
    every_s: float = EVERY_S
    _due: float = field(init=False)
    _hopeless: bool = False

    def __post_init__(self) -> None:
        self._due = monotonic() + self.every_s

    def due(self) -> bool:
        """Whether it is time to write."""
        return monotonic() >= self._due

    def save(self, snapshot: Snapshot) -> None:
        """Write it down, or say why not; the cell goes on either way."""
        if self._hopeless:
            return
        begun = monotonic()
        try:
            packed = {"about": self._text(), "snapshot": pack(snapshot)}
            write_with(self.path, lambda file: torch.save(packed, file))
        except UnstorableError as error:
            self._hopeless = True
            self.remark(f"no checkpoints: its state has {error} in it; if it is stopped, it begins anew")
        except (ResultError, RuntimeError) as error:
            # no room, or no such folder any more: there may be one later
            self.remark(f"no checkpoint: {error}")
        took = monotonic() - begun
        self._due = monotonic() + max(self.every_s, took / MOST_OF_THE_TIME)

    def read(self) -> Snapshot | None:
        """What was written last, if there is any, it is whole, and nothing that it depends on has changed."""
        if not self.path.exists():
            return None
        try:
            snapshot = self._read()
        except Exception as error:
            # whatever is wrong with the file, the cell can still be run from its beginning
            self.remark(f"its checkpoint cannot be used, so it begins anew: {error}")
            return None
        if snapshot is None:
            self.remark("its checkpoint is of other code or another machine, so it begins anew")
        return snapshot

    def _read(self) -> Snapshot | None:
        with zipfile.ZipFile(self.path) as archive:
            # torch does not look at the checksums that it writes
            if (bad := archive.testzip()) is not None:
                raise ValueError(f"{bad} is damaged")
        packed = torch.load(self.path, map_location=self._place, weights_only=True)
        if packed["about"] != self._text():
            return None
        snapshot: Snapshot = unpack(packed["snapshot"])
        return snapshot

    def _text(self) -> str:
        return json.dumps({"form": FORM, **self.about}, sort_keys=True)

    def _place(self, storage: Any, location: str) -> Any:
        """On this machine's device what was on one, wherever that was; the rest stays on the CPU."""
        return storage if location == "cpu" else storage.to(device=self.device)

    def remove(self) -> None:
        """There is a result; what is left of the checkpoint is a nuisance, and no more."""
        try:
            remove(self.path)
        except ResultError as error:
            self.remark(str(error))
