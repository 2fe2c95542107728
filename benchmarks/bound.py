"""How much faster than a plain loop an engine could be that has no overhead at all.

    python benchmarks/bound.py [--repeats 15]

A step on one sample of one token costs little but overhead: of Python, autograd, and the calls of torch's operations.
The rest of a step on a whole batch is the operations themselves, which an engine has to compute too. So the bound is
t / (t - t_1), with t the processor time of a step on the batch and t_1 that of a step on one sample. Cases take turns;
times are medians. Prints a table in markdown.
"""

from argparse import ArgumentParser
from statistics import median

import torch
from plain import CONTEXT, make_plain_loop, processor_time

from fdabench.engine.allocator import disable_malloc_trim

CLASSES = {"lenet5": 10, "gpt-nano": 256}
BATCHES = {"lenet5": (32,), "gpt-nano": (16, 32)}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    disable_malloc_trim()
    print("| model | batch | step, ms | step on one sample, ms | bound |\n|---|---|---|---|---|")
    for name, batches in BATCHES.items():
        context = CONTEXT if name.startswith("gpt") else 0
        small = make_plain_loop(name, 1, CLASSES[name], min(context, 1)).step
        steps = {batch: make_plain_loop(name, batch, CLASSES[name], context).step for batch in batches}
        times: dict[int, list[float]] = {batch: [] for batch in (1, *batches)}
        for _ in range(repeats):
            times[1].append(1e3 * processor_time(small, 20) / 20)
            for batch, step in steps.items():
                times[batch].append(1e3 * processor_time(step, 5) / 5)
        one = median(times[1])
        for batch in batches:
            whole = median(times[batch])
            print(f"| {name} | {batch} | {whole:.2f} | {one:.2f} | {whole / (whole - one):.2f} |")


if __name__ == "__main__":
    main()
