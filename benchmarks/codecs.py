"""How long one sync takes with each codec, against one of float32 numbers.

    python benchmarks/codecs.py [--model lenet5] [--workers 8] [--seconds 2] [--threads 1]

Times `core.sync.synchronize` in one process: drifts, packing, unpacking, mean, server. With error feedback also the residual.
A sync moves all messages in memory; what a network would take is `fdabench plan --network`. Codecs take turns with the
plain sync. Seconds are the processor's, as in CPU time of this process, so that work beside it disturbs less; each
ratio is the median over slots. Prints a table in markdown.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from statistics import median
from time import process_time

import torch

from fdabench.codecs import CODECS
from fdabench.core.channel import Channel
from fdabench.core.codec import Codec
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import RESIDUAL, StepContext, SyncRule
from fdabench.core.sync import initial_round, synchronize
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.servers.average import Average

SIZES = {"lenet5": 61_706, "vgg16star": 2_592_202}
SLOTS = 15


def make_sync(codec: Codec | None, feedback: float | None, size: int, workers: int) -> Callable[[], object]:
    """A function that makes one sync of Gaussian drifts."""
    generator = torch.Generator().manual_seed(0)
    w_D, w_KD = torch.randn(size, generator=generator), torch.randn(workers, size, generator=generator)
    state = {} if feedback is None else {RESIDUAL: torch.randn(workers, size, generator=generator)}
    rule = SyncRule(Average(), codec, feedback)
    ctx = StepContext(0, w_KD, w_KD, torch.zeros(workers), 1, lambda t: 0.1, state, ())
    r = initial_round(w_D, rule)
    collective = InProcessCollective(torch.full((workers,), 1 / workers))
    return lambda: synchronize(ctx, r, rule, Channel(collective, Ledger()))


def timed(sync: Callable[[], object], seconds: float) -> float:
    """Seconds of one sync, repeated until `seconds` are over."""
    begun, count = process_time(), 0
    while (now := process_time()) - begun < seconds or count < 1:
        sync()
        count += 1
    return (now - begun) / count


def ratio(sync: Callable[[], object], plain: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Milliseconds of a sync, and how many times those of the plain one, in turns."""
    slots = [(timed(plain, seconds / SLOTS / 2), timed(sync, seconds / SLOTS / 2)) for _ in range(SLOTS)]
    return 1e3 * median(one for _, one in slots), median(one / floor for floor, one in slots)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=SIZES, default="lenet5")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of the table")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    disable_malloc_trim()
    size = SIZES[given.model]
    plain = make_sync(None, None, size, given.workers)
    timed(plain, 0.5)
    print(f"{given.model}, {size:,} numbers, K = {given.workers}, {given.threads} threads\n")
    print("| codec | bytes up | ms | times plain | with feedback |\n|---|---|---|---|---|")
    print(f"| none | {4 * size:,} | {1e3 * timed(plain, given.seconds):.2f} | 1 | |")
    for kind, cls in CODECS.items():
        ms, times = ratio(
            make_sync(cls(), 1.0 if cls.needs_feedback else None, size, given.workers), plain, given.seconds
        )
        _, fed = ratio(make_sync(cls(), 0.95, size, given.workers), plain, given.seconds)
        print(f"| `{kind}` | {cls().message_size(size):,} | {ms:.2f} | {times:.1f} | {fed:.1f} |")


if __name__ == "__main__":
    main()
