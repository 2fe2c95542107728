"""Dropout (Srivastava et al., 2014) whose masks depend on worker, step and layer, and not on the order of execution."""

import torch
from torch import Tensor, nn

from fdabench.core.counter_rng import UINT32_MASK, derive_key


class Dropout(nn.Module):
    """Sets each number to zero with probability `rate` and divides the others by 1 - rate; in training only.

    The mask is a hash of `key` and of the position in the batch. The engine sets another key for each worker, step and
    layer. So the masks of a worker do not depend on the engine, the device or the process.

    Args:
        rate: the probability that a number is set to zero, in [0, 1).
    """

    key: Tensor
    """The key of the masks: int64, shape []."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("key", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        position = torch.arange(x.numel(), device=x.device).view(x.shape)
        mask = derive_key(position, self.key) >= int(self.rate * (UINT32_MASK + 1))
        return x * mask.to(x.dtype).div_(1 - self.rate)
