"""Local optimizers: what a worker steps with between syncs. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD

OPTIMIZERS: Mapping[str, type[LocalOptimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
