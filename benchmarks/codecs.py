"""How long one sync takes with each codec, against one of float32 numbers.

    python benchmarks/codecs.py [--model lenet5] [--workers 8] [--repeats 200] [--threads 1]

Times `core.sync.synchronize` in one process: drifts, packing, unpacking, mean, server; with error feedback also the
residuals. Nothing crosses a network. Figures are the processor time of the fastest of all calls, which take turns, as
work beside it slows the others down. The rows "by hand" have the operations of a message alone, in memory that is
allocated once. int8: drifts, largest magnitudes, quotients, rounding, the cast and its reverse, products and the mean.
top-k: drifts, magnitudes, a comparison with the k-th magnitude, which is known beforehand, the numbers above it, and
their mean. Prints a table in markdown.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from time import process_time

import numpy as np
import torch

from fdabench.codecs import CODECS
from fdabench.codecs.int8 import Int8
from fdabench.codecs.largest import count_of_share
from fdabench.codecs.topk import TopK
from fdabench.core.channel import Channel
from fdabench.core.codec import AnyCodec, Layout, LinearCodec
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import RESIDUAL, StepContext, SyncRule
from fdabench.core.sync import initial_round, synchronize
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.engine.flatten import row_layout
from fdabench.models import MODELS
from fdabench.servers.average import Average

NAMES = ("lenet5", "vgg16star")


def draw_models(generator: torch.Generator, size: int, workers: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian weights: a global model, shape [D], and those of the workers, shape [K, D]."""
    return torch.randn(size, generator=generator), torch.randn(workers, size, generator=generator)


def make_sync(codec: AnyCodec | None, feedback: float | None, layout: Layout, workers: int) -> Callable[[], object]:
    """A function that makes one sync of Gaussian drifts."""
    generator, size = torch.Generator().manual_seed(0), layout[-1].stop
    w_D, w_KD = draw_models(generator, size, workers)
    state = {} if feedback is None else {RESIDUAL: torch.randn(workers, size, generator=generator)}
    rule = SyncRule(Average(), codec, feedback)
    ctx = StepContext(0, w_KD, w_KD, torch.zeros(workers), 1, lambda t: 0.1, state, layout)
    r = initial_round(w_D, rule)
    collective = InProcessCollective(torch.full((workers,), 1 / workers))
    return lambda: synchronize(ctx, r, rule, Channel(collective, Ledger()))


def make_int8_by_hand(layout: Layout, workers: int) -> Callable[[], object]:
    """A function that averages Gaussian drifts as int8, without ledger, reply, checks or the last, shorter chunk."""
    chunk = Int8().chunk
    w_D, w_KD = draw_models(torch.Generator().manual_seed(0), layout[-1].stop // chunk * chunk, workers)
    weight_K = torch.full((workers,), 1 / workers)
    u_KD, sent_KD = torch.empty_like(w_KD), torch.empty_like(w_KD)
    u_KCN, sent_KCN = (x_KD.view(workers, -1, chunk) for x_KD in (u_KD, sent_KD))
    q_KCN = torch.empty(u_KCN.shape, dtype=torch.int8)

    def average() -> torch.Tensor:
        torch.sub(w_KD, w_D, out=u_KD)
        scale_KC1 = torch.maximum(u_KCN.amax(-1, True), -u_KCN.amin(-1, True)) / 127
        q_KCN.copy_(torch.div(u_KCN, scale_KC1, out=sent_KCN).round_())
        sent_KCN.copy_(q_KCN).mul_(scale_KC1)
        return w_D + weight_K @ sent_KD

    return average


def make_topk_by_hand(layout: Layout, workers: int) -> Callable[[], object]:
    """A function that averages the largest Gaussian drifts, without ledger, messages or the search for the k-th."""
    size = layout[-1].stop
    w_D, w_KD = draw_models(torch.Generator().manual_seed(0), size, workers)
    weight_K = torch.full((workers,), 1 / workers)
    k = count_of_share(TopK().share, size)
    bound_K1 = (w_KD - w_D).abs().topk(k, 1).values[:, -1:]
    u_KD, magnitude_KD, sent_KD = (torch.empty_like(w_KD) for _ in range(3))
    is_sent_KD = torch.empty(w_KD.shape, dtype=torch.bool)

    def average() -> torch.Tensor:
        torch.sub(w_KD, w_D, out=u_KD)
        torch.ge(torch.abs(u_KD, out=magnitude_KD), bound_K1, out=is_sent_KD)
        # NumPy's search takes a third of the time of `Tensor.nonzero`
        at_N = torch.from_numpy(np.flatnonzero(is_sent_KD.numpy()))
        sent_KD.zero_().view(-1)[at_N] = u_KD.view(-1)[at_N]
        return w_D + weight_K @ sent_KD

    return average


def fastest(syncs: list[Callable[[], object]], repeats: int) -> list[float]:
    """Milliseconds of the fastest call of each, which take turns."""
    times = [[timed(sync) for sync in syncs] for _ in range(repeats)]
    return [1e3 * min(item) for item in zip(*times, strict=True)]


def timed(sync: Callable[[], object]) -> float:
    start = process_time()
    sync()
    return process_time() - start


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=NAMES, default="lenet5")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    disable_malloc_trim()
    layout = row_layout(MODELS[arguments.model].build((1, 28, 28), 10))
    size = layout[-1].stop
    plain = make_sync(None, None, layout, arguments.workers)
    (floor,) = fastest([plain], arguments.repeats)
    head = f"{arguments.model}, {size:,} numbers, K = {arguments.workers}, {arguments.threads} threads"
    print(f"{head}; plain: {floor:.2f} ms\n")
    print("| codec | bytes up | ms | times plain | with feedback, ms | times plain |\n|---|---|---|---|---|---|")
    for kind, cls in CODECS.items():
        codec = cls()
        alone = make_sync(codec, 1.0 if cls.needs_feedback else None, layout, arguments.workers)
        floor, ms, fed = fastest([plain, alone, make_sync(codec, 0.95, layout, arguments.workers)], arguments.repeats)
        own = "refused | " if cls.needs_feedback else f"{ms:.2f} | {ms / floor:.1f}"
        sent = sum(codec.message_sizes(layout)) if isinstance(codec, LinearCodec) else codec.message_size(size)
        print(f"| `{kind}` | {sent:,} | {own} | {fed:.2f} | {fed / floor:.1f} |")
    for name, make in (("int8", make_int8_by_hand), ("topk", make_topk_by_hand)):
        floor, ms = fastest([plain, make(layout, arguments.workers)], arguments.repeats)
        print(f"| {name} by hand | | {ms:.2f} | {ms / floor:.1f} | | |")


if __name__ == "__main__":
    main()
