"""Measurements that the ledger does not record: accuracy, loss and variance. Shape suffixes as in `engine.arrays`."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fdabench.core.collective import Collective
from fdabench.core.row_sums import row_squared_norms
from fdabench.engine.arrays import LabeledData
from fdabench.engine.flatten import bind_parameters
from fdabench.engine.loss import correct_predictions, cross_entropy
from fdabench.engine.precision import Precision, autocast, matmul_precision

BATCH, ACCELERATOR_BATCH = 200, 5000
"""Samples in a forward pass; on a CPU, a batch that fits the cache is fastest."""


class EvalMetrics(NamedTuple):
    """Accuracy as a fraction of the test set, loss as mean cross-entropy in nats.

    With sequences both are means over all tokens of the test set.
    """

    accuracy: float
    loss: float
    worst_decile: float | None = None
    """What `WorstDecile` computes; None if it was not asked for."""


class WorstDecile:
    """The mean accuracy or loss of the worst tenth of owners, at least of one.

    The value of an owner is the mean over its samples in the test set, so each owner has the same weight, whatever the
    number of its samples. The tenth is rounded up. An object is used in one evaluation.

    Source: T. Li, M. Sanjabi, A. Beirami and V. Smith, Fair Resource Allocation in Federated Learning, ICLR 2020, which
    reports the accuracy of the worst 10 % of devices.

    Args:
        owners_N: the owner of each test sample, int64 of shape [N].
        source: "accuracy", whose lowest values are the worst, or "loss" in nats, whose highest values are the worst.
    """

    def __init__(self, owners_N: Tensor, source: Literal["accuracy", "loss"]) -> None:
        self._owners_N, self._source = owners_N, source
        self._batches: list[Tensor] = []

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Add the next samples of the test set; shapes as in `engine.loss.cross_entropy`."""
        if self._source == "accuracy":
            values = correct_predictions(logits, targets).double()
        else:
            values = cross_entropy(logits, targets, reduction="none").double().view_as(targets)
        self._batches.append(values.flatten(1).mean(1) if values.dim() > 1 else values)

    def compute(self) -> float:
        """Return the mean of the worst tenth after all samples were added; NaN if the loss of an owner is NaN."""
        # sums on the CPU add in the order of the samples, so they are equal in each run
        values_N = torch.cat(self._batches).numpy(force=True)
        _, owner_N = np.unique(self._owners_N.numpy(force=True), return_inverse=True)
        means = np.bincount(owner_N, weights=values_N) / np.bincount(owner_N)
        worst_first = np.sort(means if self._source == "accuracy" else -means)
        return float(abs(worst_first[: -(-len(means) // 10)].mean()))


def evaluate(
    model: nn.Module,
    w_D: Tensor,
    b_B: Tensor,
    test: LabeledData,
    precision: Precision = "fp32",
    worst_decile: WorstDecile | None = None,
) -> EvalMetrics:
    """Evaluate the model with weights `w_D` and running statistics `b_B` on the whole test set.

    Args:
        model: the module that computes the logits; its parameters are replaced.
        w_D: the weights, shape [D].
        b_B: the running statistics, shape [B].
        test: the samples.
        precision: of matrix products.
        worst_decile: computes the same of the worst tenth of owners, from the same forward passes.
    """
    bind_parameters(model, w_D, b_B)
    model.eval()
    size = BATCH if test.x.is_cpu else ACCELERATOR_BATCH
    correct, loss = torch.zeros(2, dtype=torch.float64, device=test.x.device)
    with torch.inference_mode(), matmul_precision(precision):
        for x, targets in zip(test.x.split(size), test.y.split(size), strict=True):
            with autocast(precision, x.device):
                logits = model(x)
                loss += cross_entropy(logits, targets, reduction="sum")
            correct += correct_predictions(logits, targets).sum()
            if worst_decile is not None:
                worst_decile.add(logits, targets)
    worst = None if worst_decile is None else worst_decile.compute()
    return EvalMetrics(int(correct) / test.y.numel(), float(loss) / test.y.numel(), worst)


def model_variance(w_KD: Tensor, mean_D: Tensor, collective: Collective) -> float:
    """Var(w) = mean_k |w_k - mean w|^2 over all workers, by its definition, without recording a message."""
    apart_KD = w_KD - mean_D
    return float(collective.mean(row_squared_norms(apart_KD)[:, None]))
