"""The engines by name, and the choice of `--engine auto`."""

from collections.abc import Mapping

import torch

from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.gradients.vectorized import VectorizedGradients
from fdabench.engine.workers import GradientFnFactory

ENGINES: Mapping[str, GradientFnFactory] = {"sequential": SequentialGradients, "vectorized": VectorizedGradients}
_FASTEST_ON: Mapping[str, str] = {"cpu": "sequential"}


def resolve_engine(name: str, device: torch.device) -> str:
    """Replace `auto` by the fastest engine on this kind of device. Both engines agree up to rounding."""
    return _FASTEST_ON.get(device.type, "vectorized") if name == "auto" else name
