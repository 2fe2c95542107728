"""Seeds by axis: each random draw is seeded by a hash of the axes that it may depend on, and of nothing else.

So all strategies of a repeat see the same start, partition and batches, and adding one changes no other.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def derive_seed(purpose: str, axes: Mapping[str, Any]) -> int:
    """63 bits from SHA-256 of the purpose and the canonical JSON of the axes."""
    text = json.dumps([purpose, axes], sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def torch_generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
