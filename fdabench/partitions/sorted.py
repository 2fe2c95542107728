"""The FDA paper's heterogeneous partitions: `X %` sorted, and `Label Y` (its authors' data/preprocessing.py)."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from fdabench.component_info import ComponentInfo
from fdabench.errors import PartitionError
from fdabench.partitions.base import Indices, require_samples, split_contiguous


@dataclass(frozen=True)
class Sorted:
    """The first `fraction` of the file is sorted by class; each worker gets one piece of it and one of the rest."""

    fraction: Annotated[float, Ge(0), Le(1)]
    info: ClassVar[ComponentInfo] = ComponentInfo(name="X % sorted", references=("theologitis2025",))

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        require_samples(labels, workers)
        cut = int(len(labels) * Fraction(str(self.fraction)))
        by_class = np.argsort(labels[:cut], kind="stable")
        rest = split_contiguous(np.arange(cut, len(labels)), workers)
        return [np.concatenate(pair) for pair in zip(split_contiguous(by_class, workers), rest, strict=True)]


@dataclass(frozen=True)
class Label:
    """All samples of class `label` first, then the others in file order, cut into consecutive pieces."""

    label: Annotated[int, Ge(0)]
    info: ClassVar[ComponentInfo] = ComponentInfo(name="Label Y", references=("theologitis2025",))

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        require_samples(labels, workers)
        has_label = labels == self.label
        if not has_label.any():
            raise PartitionError(f"label {self.label} does not occur; there are {sorted(set(labels.tolist()))}")
        return split_contiguous(np.concatenate([np.flatnonzero(has_label), np.flatnonzero(~has_label)]), workers)
