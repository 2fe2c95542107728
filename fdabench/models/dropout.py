"""Dropout (Srivastava et al., 2014) whose masks belong to a worker and a step, not to the order of execution."""

import torch
from torch import Tensor, nn

from fdabench.core.counter_rng import UINT32_MASK, derive_key


class Dropout(nn.Module):
    """Sets each number to zero with probability `rate` and divides the others by 1 - rate, while training.

    Which ones is a hash of `key` and of the number's place in the batch. The engine gives a fresh key to each worker,
    step and layer; so a worker's masks are the same whichever engine, device or process computes them.
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
