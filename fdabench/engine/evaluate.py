"""Measurements that the ledger does not record: accuracy, loss and variance. Shape suffixes as in `engine.arrays`."""

from typing import NamedTuple

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


def evaluate(
    model: nn.Module, w_D: Tensor, b_B: Tensor, test: LabeledData, precision: Precision = "fp32"
) -> EvalMetrics:
    """Evaluate the model with weights `w_D` and running statistics `b_B` on the whole test set."""
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
    return EvalMetrics(int(correct) / test.y.numel(), float(loss) / test.y.numel())


def model_variance(w_KD: Tensor, mean_D: Tensor, collective: Collective) -> float:
    """Var(w) = mean_k |w_k - mean w|^2 over all workers, by its definition, without recording a message."""
    apart_KD = w_KD - mean_D
    return float(collective.mean(row_squared_norms(apart_KD)[:, None]))
