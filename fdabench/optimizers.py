"""Local optimizers: torch.optim's, over the rows of the worker matrix. Elementwise, so each worker has one of its own.

The fused kernels round the end of a tensor unlike its middle: with a tensor for each worker, that does not depend on
how many workers share its process.

`at_sync` says what becomes of a worker's optimizer state when its model is replaced: `keep` it (as the FDA paper
does), `reset` it, or `average` it over the workers, which is metered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from torch import nn

from fdabench.fields import Decay, NonNegative, Rate

AtSync = Literal["keep", "reset", "average"]


class LocalOptimizer(Protocol):
    """Hyper-parameters, and the torch optimizer they make."""

    @property
    def at_sync(self) -> AtSync: ...

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer: ...


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent, torch.optim.SGD."""

    lr: Rate
    momentum: Decay = 0.0
    nesterov: bool = False
    weight_decay: NonNegative = 0.0
    at_sync: AtSync = "keep"
    reference: ClassVar[str] = "robbins1951"

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: needs a momentum > 0")

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            rows,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=True,
        )


@dataclass(frozen=True)
class Adam:
    """Adam, torch.optim.Adam; Keras' defaults differ from torch's in eps = 1e-7."""

    lr: Rate
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: Rate = 1e-8
    weight_decay: NonNegative = 0.0
    at_sync: AtSync = "keep"
    reference: ClassVar[str] = "kingma2015"

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        betas = (self.beta1, self.beta2)
        return torch.optim.Adam(rows, lr=self.lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=True)


@dataclass(frozen=True)
class AdamW:
    """AdamW, torch.optim.AdamW: weight decay apart from the gradient."""

    lr: Rate
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: Rate = 1e-8
    weight_decay: NonNegative = 0.01
    at_sync: AtSync = "keep"
    reference: ClassVar[str] = "loshchilov2019"

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(
            rows, lr=self.lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=True
        )


OPTIMIZERS: Mapping[str, type[LocalOptimizer]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}
