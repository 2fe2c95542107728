"""What is measured without being paid for. Shape suffixes as in `engine.rows`."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fdabench.core.collective import Collective
from fdabench.core.rows import squared_norms
from fdabench.engine.flat import load
from fdabench.engine.precision import Precision, casting, rounding
from fdabench.engine.rows import Examples

BATCH, BATCH_OF_ACCELERATORS = 200, 5000
"""Images at a time: what fits a CPU's cache is fastest there."""


class Score(NamedTuple):
    """Accuracy as a fraction of the test set, loss as mean cross-entropy in nats."""

    accuracy: float
    loss: float


def score(model: nn.Module, w_D: Tensor, b_B: Tensor, test: Examples, precision: Precision = "fp32") -> Score:
    """The model with weights `w_D` and running statistics `b_B` on the whole of a test set."""
    load(model, w_D, b_B)
    model.eval()
    size = BATCH if test.x.is_cpu else BATCH_OF_ACCELERATORS
    correct, loss = torch.zeros(2, dtype=torch.float64, device=test.x.device)
    with torch.inference_mode(), rounding(precision):
        for images, labels in zip(test.x.split(size), test.y.split(size), strict=True):
            with casting(precision, images.device):
                logits = model(images)
                loss += nn.functional.cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(1) == labels).sum()
    return Score(int(correct) / len(test.y), float(loss) / len(test.y))


def model_variance(w_KD: Tensor, mean_D: Tensor, collective: Collective) -> float:
    """Var(w) = mean_k |w_k - mean w|^2, computed as it is defined; never through a channel."""
    apart_KD = w_KD - mean_D
    return float(collective.mean(squared_norms(apart_KD)[:, None]))
