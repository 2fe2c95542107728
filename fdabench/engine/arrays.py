"""The arrays of the engine: one row for each worker, and the training data.

Shape suffixes: K = workers of this process, D = parameters, B = statistics, L = dropout layers.
"""

from typing import NamedTuple

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
    """A training set: images [N, channels, height, width] and labels [N]."""

    x: Tensor
    y: Tensor


class BatchMetrics(NamedTuple):
    """The mean cross-entropy of each worker's batch, and its accuracy as a fraction.

    The L2 penalty of a model (`kernel_l2`) is not included."""

    loss_K: Tensor
    accuracy_K: Tensor
