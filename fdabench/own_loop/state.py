"""Encodes the state of a session as a tensor of bytes, which `torch.save` writes and `weights_only=True` reads."""

from typing import Any

import torch
from torch import Tensor

from fdabench.core.strategy import Strategy
from fdabench.errors import UsageError
from fdabench.experiment.checkpoint.encoding import StateCodec
from fdabench.experiment.checkpoint.serialize import NotSerializableError, records_for
from fdabench.own_loop.settings import components_of


def encode_state(state: Any, strategy: Strategy, device: torch.device) -> Tensor:
    """The state as bytes, shape [bytes], on the CPU."""
    return torch.frombuffer(bytearray(state_codec(strategy, device).encode(state)), dtype=torch.uint8)


def decode_state(content: Tensor, strategy: Strategy, device: torch.device) -> Any:
    """The inverse of `encode_state`.

    Raises:
        UsageError: `content` is not the result of `encode_state`, or of another version.
    """
    try:
        return state_codec(strategy, device).decode(content.cpu().numpy().tobytes())
    except (NotSerializableError, LookupError, TypeError, ValueError) as error:
        raise UsageError(f"load_state_dict: {error}; begin without it, or use the version that wrote it") from error


def state_codec(strategy: Strategy, device: torch.device) -> StateCodec:
    """The codec for the state of a strategy and for the rows of a traffic meter; it contains no code."""
    return StateCodec(records_for([type(part) for part in (strategy, *components_of(strategy))]), device)
