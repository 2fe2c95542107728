"""Which engine is used where."""

from collections.abc import Mapping

import torch

from fdabench.engine.sequential import Sequential
from fdabench.engine.vectorised import Vectorised
from fdabench.engine.workers import Engine

ENGINES: Mapping[str, Engine] = {"sequential": Sequential, "vectorised": Vectorised}
_FASTEST: Mapping[str, str] = {"cpu": "sequential"}


def engine_on(name: str, device: torch.device) -> str:
    """`auto` is the one that is fastest on this kind of device; both give the same numbers to rounding."""
    return _FASTEST.get(device.type, "vectorised") if name == "auto" else name
