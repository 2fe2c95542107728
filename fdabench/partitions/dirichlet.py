"""Dirichlet partitions. The literature has two schemes under this name, which give very different shards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray

from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import Count
from fdabench.partitions.base import Indices, require_samples

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Dirichlet:
    """Draw the workers' class mixes from a Dirichlet distribution: the smaller `alpha`, the more they differ.

    `shares = "per-class"`: each class is shared out over the workers by proportions from Dir(alpha); shards of
    unequal size. `shares = "per-worker"`: equal shards, each with a class mix from Dir(alpha * prior), prior the
    classes' shares (Hsu et al., 2019). Workers left with fewer than `min_samples` take what they lack from the
    largest shard, so even a tiny alpha ends, and at once.
    """

    alpha: Annotated[float, Gt(0)]
    shares: Literal["per-class", "per-worker"] = "per-class"
    min_samples: Count = 1
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Dirichlet",
        formula="per-class: the workers' shares of each class ~ Dir(α); per-worker: its classes ~ Dir(α · prior)",
        references=("yurochkin2019", "hsu2019"),
    )

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        require_samples(labels, workers, self.min_samples)
        shards = _RULES[self.shares](labels, workers, self.alpha, rng)
        return _enforce_min_samples([rng.permutation(shard) for shard in shards], self.min_samples)


def _per_class(labels: Indices, workers: int, alpha: float, rng: np.random.Generator) -> list[Indices]:
    shards: list[list[Indices]] = [[] for _ in range(workers)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        share = _dirichlet(rng, np.full(workers, alpha))
        cuts = np.rint(share.cumsum()[:-1] * len(members)).astype(np.int64)
        for shard, piece in zip(shards, np.split(members, cuts), strict=True):
            shard.append(piece)
    return [np.concatenate(shard) for shard in shards]


def _per_worker(labels: Indices, workers: int, alpha: float, rng: np.random.Generator) -> list[Indices]:
    pools = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    prior = np.array([len(pool) for pool in pools]) / len(labels)
    sizes = [len(piece) for piece in np.array_split(labels, workers)]
    shards: list[Indices] = [np.empty(0, dtype=np.int64)] * workers
    # in random order, because the last workers get the samples that the others left
    for worker in rng.permutation(workers):
        mix = _dirichlet(rng, alpha * prior)
        counts = _take(np.array([len(pool) for pool in pools]), mix, sizes[worker], rng)
        shards[worker] = np.concatenate([pool[:n] for pool, n in zip(pools, counts, strict=True)])
        pools = [pool[n:] for pool, n in zip(pools, counts, strict=True)]
    return shards


_RULES: Mapping[str, Callable[[Indices, int, float, np.random.Generator], list[Indices]]] = {
    "per-class": _per_class,
    "per-worker": _per_worker,
}


def _dirichlet(rng: np.random.Generator, alpha: Weights) -> Weights:
    """A draw from Dir(alpha); where alpha is too small for floating point, the limit, with all weight on one entry."""
    # outside this range the sum of alpha would overflow or vanish
    alpha = np.clip(alpha, 1e-300, 1e300)
    with np.errstate(all="ignore"):
        share = rng.dirichlet(alpha)
    if np.isfinite(share).all() and np.isclose(share.sum(), 1):
        return share
    share[:] = 0
    share[rng.choice(len(alpha), p=alpha / alpha.sum())] = 1
    return share


def _take(left: Indices, mix: Weights, size: int, rng: np.random.Generator) -> Indices:
    """How many of each class make up `size` samples of the mix, given how many are left of each."""
    counts = np.zeros_like(left)
    while (need := size - int(counts.sum())) > 0:
        weight = np.where(counts < left, mix, 0.0)
        if weight.sum() <= 0:
            weight = (left - counts).astype(float)
        counts = np.minimum(counts + rng.multinomial(need, weight / weight.sum()), left)
    return counts


def _enforce_min_samples(shards: list[Indices], least: int) -> list[Indices]:
    """Every shard has at least `least` samples, taken from whichever shard is then the largest."""
    for worker in range(len(shards)):
        while len(shards[worker]) < least:
            rich = max(range(len(shards)), key=lambda k: len(shards[k]))
            shards[worker] = np.append(shards[worker], shards[rich][-1])
            shards[rich] = shards[rich][:-1]
    return shards
