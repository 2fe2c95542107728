"""What is measured without being paid for. Shape suffixes: K = workers held by this process, D = parameters."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fdabench.core.collective import Collective
from fdabench.core.rows import squared_norms
from fdabench.engine.gradients import load_flat

BATCH = 200
"""Images at a time: what fits a CPU's cache is fastest there."""


class Score(NamedTuple):
    """Accuracy as a fraction of the test set, loss as mean cross-entropy in nats."""

    accuracy: float
    loss: float


def score(model: nn.Module, w_D: Tensor, x: Tensor, y: Tensor) -> Score:
    """The model with weights `w_D` on the whole of a test set."""
    load_flat(model, w_D)
    model.eval()
    correct, loss = 0, 0.0
    with torch.inference_mode():
        for images, labels in zip(x.split(BATCH), y.split(BATCH), strict=True):
            logits = model(images)
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
    return Score(correct / len(y), loss / len(y))


def model_variance(w_KD: Tensor, collective: Collective) -> float:
    """Var(w) = mean_k |w_k - mean w|^2, computed as it is defined; never through a channel."""
    apart_KD = w_KD - collective.mean(w_KD)
    return float(collective.mean(squared_norms(apart_KD)[:, None]))
