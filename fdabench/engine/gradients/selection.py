"""Which engine is used where."""

from collections.abc import Mapping

import torch

from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.gradients.vectorized import VectorizedGradients
from fdabench.engine.workers import GradientFnFactory

ENGINES: Mapping[str, GradientFnFactory] = {"sequential": SequentialGradients, "vectorized": VectorizedGradients}
_FASTEST_ON: Mapping[str, str] = {"cpu": "sequential"}


def resolve_engine(name: str, device: torch.device) -> str:
    """`auto` is the one that is fastest on this kind of device; both give the same numbers to rounding."""
    return _FASTEST_ON.get(device.type, "vectorized") if name == "auto" else name
