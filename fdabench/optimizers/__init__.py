"""The local optimizers, and the schedules of their learning rates.

To add one, write a module and add a line to `OPTIMIZERS` or `SCHEDULES`.
"""

from collections.abc import Mapping

from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.base import LocalOptimizer, LRSchedule
from fdabench.optimizers.schedules import ConstantLR, CosineLR, LinearLR, StepLR
from fdabench.optimizers.sgd import SGD

OPTIMIZERS: Mapping[str, type[LocalOptimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}

SCHEDULES: Mapping[str, type[LRSchedule]] = {
    "constant": ConstantLR,
    "step": StepLR,
    "cosine": CosineLR,
    "linear": LinearLR,
}
