"""Measures in one rank how long the collectives of gloo take; `latency.py` starts the ranks in network namespaces.

A message that its sender may send at once takes one latency of the link. gloo waits until the receiver has announced a
buffer, so most messages take two. Rank 0 writes the seconds of each collective to `collectives.json` in its working
folder.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import torch
import torch.distributed as dist

FLOATS = (1, 2, 4, 16, 1250, 61_706)
"""The lengths of tensors: those of states of NaiveFDA, LinearFDA and SketchFDA and of LeNet-5 are among them."""
REPEATS, WARM_UP = 8, 4
RESULT = "collectives.json"


def measure() -> None:
    """Join the process group that the environment describes, and measure."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    rows = list(_rows(dist.get_rank(), dist.get_world_size()))
    if dist.get_rank() == 0:
        Path(RESULT).write_text(json.dumps(rows), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


def _rows(rank: int, size: int) -> Iterator[dict[str, object]]:
    for floats in FLOATS:
        x = torch.ones(floats)
        outputs = [torch.empty_like(x) for _ in range(size)]
        collectives: dict[str, Callable[[], object]] = {
            "all_reduce": lambda x=x: dist.all_reduce(x),  # type: ignore[misc]
            "all_gather": lambda x=x, outputs=outputs: dist.all_gather(outputs, x),  # type: ignore[misc]
            "broadcast": lambda x=x: dist.broadcast(x, 0),  # type: ignore[misc]
        }
        for name, collective in collectives.items():
            yield {"collective": name, "floats": floats, "seconds": _seconds(collective)}


def _seconds(collective: Callable[[], object]) -> float:
    """The mean seconds of a collective, until the last rank has its result."""
    for _ in range(WARM_UP):
        collective()
    dist.barrier()
    began_at = monotonic()
    for _ in range(REPEATS):
        collective()
    ended = torch.tensor([monotonic() - began_at])
    dist.all_reduce(ended, dist.ReduceOp.MAX)
    return float(ended) / REPEATS


if __name__ == "__main__":
    measure()
