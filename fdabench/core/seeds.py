"""Seeds of random draws: a hash of the purpose of a draw and of the settings that it may depend on.

All strategies of a repetition therefore have the same initial model, partition and batches, and a cell that is added to
a suite changes no other cell.
"""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import torch


def derive_seed(purpose: str, axes: Mapping[str, object]) -> int:
    """Hash a purpose and settings to a seed.

    Args:
        purpose: what is drawn, such as `segment`.
        axes: the settings that the draw may depend on, as JSON values.

    Returns:
        63 bits of the SHA-256 of both as canonical JSON.
    """
    text = json.dumps([purpose, axes], sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def torch_generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
