"""Keys for dropout: fresh for each worker, step and layer. Shape suffixes as in `engine.rows`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fdabench.core.noise import MASK, key_for
from fdabench.models.dropout import Dropout


def dropouts(model: nn.Module) -> list[Dropout]:
    """The model's dropout layers, in order."""
    return [module for module in model.modules() if isinstance(module, Dropout)]


def seeds_on(seeds: Sequence[int], device: torch.device) -> Tensor:
    """32 bits of each worker's seed, shape [K]."""
    return torch.tensor([seed & MASK for seed in seeds], dtype=torch.int64, device=device)


def keys(seed_K: Tensor, step: int, layers: int) -> Tensor:
    """Shape [K, L]."""
    if not layers:
        # most models have no dropout, and hashing an empty tensor launches as many kernels as hashing keys
        return seed_K.new_empty(len(seed_K), 0)
    layer_L = torch.arange(layers, device=seed_K.device)
    return key_for(key_for(seed_K, step)[:, None], layer_L)
