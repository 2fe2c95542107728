"""Keys of dropout masks: a different one for each worker, step and layer. Shape suffixes as in `engine.arrays`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fdabench.core.counter_rng import UINT32_MASK, derive_key
from fdabench.models.dropout import Dropout


def dropout_layers(model: nn.Module) -> list[Dropout]:
    """The model's dropout layers, in order."""
    return [module for module in model.modules() if isinstance(module, Dropout)]


def seed_tensor(seeds: Sequence[int], device: torch.device) -> Tensor:
    """The low 32 bits of each worker's seed, int64, shape [K]."""
    return torch.tensor([seed & UINT32_MASK for seed in seeds], dtype=torch.int64, device=device)


def dropout_keys(seed_K: Tensor, step: int, layers: int) -> Tensor:
    """The key of each worker and dropout layer at a local step, shape [K, L]."""
    if not layers:
        # most models have no dropout, and hashing an empty tensor launches as many kernels as hashing a full one
        return seed_K.new_empty(len(seed_K), 0)
    layer_L = torch.arange(layers, device=seed_K.device)
    return derive_key(derive_key(seed_K, step)[:, None], layer_L)
