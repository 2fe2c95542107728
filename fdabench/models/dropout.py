"""Dropout (Srivastava et al., 2014) whose masks are a function of worker, step and layer, not of execution order."""

import torch
from torch import Tensor, nn

from fdabench.core.counter_rng import UINT32_MASK, derive_key


class Dropout(nn.Module):
    """In training, sets each number to zero with probability `rate` and divides the others by 1 - rate.

    The mask is a hash of `key` and of the position in the batch. The engine sets a different key for each worker, step
    and layer, so the masks of a worker do not depend on the engine, the device or the process.
    """

    key: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("key", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        place = torch.arange(x.numel(), device=x.device).view(x.shape)
        kept = derive_key(place, self.key) >= int(self.rate * (UINT32_MASK + 1))
        return x * kept.to(x.dtype).div_(1 - self.rate)
