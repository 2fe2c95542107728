"""The arrays of the engine: one row for each worker, and the training data.

Shape suffixes: K = workers of this process, D = parameters, B = statistics, L = dropout layers.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class WorkerMatrix(NamedTuple):
    """The state of all workers of this process; row k belongs to worker k."""

    w_KD: Tensor
    """Weights."""
    g_KD: Tensor
    """Gradients."""
    b_KB: Tensor
    """Running statistics of batch normalization; they stay with their worker."""


class LabeledData(NamedTuple):
    """Samples: images [N, channels, height, width] with labels [N], or tokens [N, T] with the next tokens [N, T]."""

    x: Tensor
    y: Tensor

    def select(self, indices: Tensor) -> "LabeledData":
        """Copy the samples at `indices`, an int64 tensor on the same device; images are channels-last."""
        x = self.x.index_select(0, indices)
        if x.dim() == 4:
            # indexing does not keep the channels-last layout
            x = x.contiguous(memory_format=torch.channels_last)
        return LabeledData(x, self.y.index_select(0, indices))


class BatchMetrics(NamedTuple):
    """The mean cross-entropy of each worker's batch in nats, and its accuracy as a fraction.

    With sequences the mean is over all tokens of the batch.

    The L2 penalty of a model (`kernel_l2`) is not included."""

    loss_K: Tensor
    accuracy_K: Tensor
