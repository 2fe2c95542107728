"""All workers held by a process, as matrices with a row for each; and the data they learn from.

Shape suffixes: K = workers held by this process, D = parameters, B = statistics, L = dropout layers.
"""

from typing import NamedTuple

from torch import Tensor


class WorkerMatrix(NamedTuple):
    w_KD: Tensor
    """Weights."""
    g_KD: Tensor
    """Gradients."""
    b_KB: Tensor
    """Running statistics of batch normalization; they stay with their worker."""


class LabeledData(NamedTuple):
    """A training set: images [N, channels, height, width] and labels [N]."""

    x: Tensor
    y: Tensor


class BatchMetrics(NamedTuple):
    """What the local steps saw: mean cross-entropy of each worker's batch, and the fraction that it had right.

    What an architecture adds to the loss for its weights (`kernel_l2`) is not among it."""

    loss_K: Tensor
    accuracy_K: Tensor
