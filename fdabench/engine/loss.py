"""The loss and the accuracy of logits, for classes and for sequences of tokens, in training and in evaluations."""

from typing import Literal

import torch
from torch import Tensor, nn


def cross_entropy(logits: Tensor, targets: Tensor, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
    """The cross-entropy in nats, over all samples or over all tokens of all samples.

    Args:
        logits: shape [N, classes], or [N, T, classes] for sequences of T tokens.
        targets: int64 in 0..classes-1, shape [N] or [N, T].
        reduction: as in torch.nn.functional.cross_entropy.
    """
    return nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction=reduction)


def correct_predictions(logits: Tensor, targets: Tensor) -> Tensor:
    """Whether the largest logit is that of the target, bool of the shape of `targets`; shapes as in `cross_entropy`."""
    return torch.eq(logits.argmax(-1), targets)
