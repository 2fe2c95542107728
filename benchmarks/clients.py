"""What 100,000 clients cost: `python benchmarks/clients.py [CLIENTS] [ROUNDS]`, with MNIST in FDABENCH_DATA.

LeNet-5 and FedAvg with one local step a round, so that clients change as often as they can: 50 of them train in a
round, and each begins it "fresh". The training set is MNIST repeated to two samples for each client. Prints CPU seconds
of each part, and the peak of resident memory.
"""

import resource
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from time import process_time

import numpy as np
import torch

from fdabench.cell_config import CellConfig
from fdabench.datasets.base import DatasetTensors, data_dir
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.loop import CellLoop, train_loop
from fdabench.engine.workers import Workers
from fdabench.experiment.build import build_cell, build_training
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.registry.registry import BUILT_IN
from fdabench.suite.reader import read_suite

PER_ROUND = 50
SUITE_FILE = Path(gettempdir()) / "clients.toml"
SUITE = """
name = "clients"
[budget]
steps = {rounds}
[eval]
every_steps = {rounds}
[[workload]]
dataset = "mnist"
model = "lenet5"
workers = {workers}
batch_size = 16
optimizer = {{ kind = "sgd", lr = 0.1 }}
[[strategy]]
kind = "fedavg"
local_steps = 1
"""


def main(clients: int, rounds: int) -> None:
    torch.set_num_threads(1)
    SUITE_FILE.write_text(SUITE.format(workers=PER_ROUND, rounds=rounds), encoding="utf-8")
    (actual,) = read_suite(SUITE_FILE).cells
    # a suite with more clients than MNIST has samples is refused
    participation = {"clients": clients, "client_state": "fresh"}
    config = CellConfig.from_table({**actual.config.to_dict(), "participation": participation})
    start = process_time()
    data = repeated(BUILT_IN.datasets["mnist"].load(data_dir(None)), 2 * clients)
    print(f"reading and repeating MNIST to {len(data.train_y):,} samples: {process_time() - start:.1f} s")
    start, cell = process_time(), ResolvedCell(config)
    setting = build_cell(cell, data)
    workers = Workers(build_training(cell, setting, SequentialGradients), [setting.group])
    print(f"start-up with {clients:,} clients: {process_time() - start:.1f} s")
    start = process_time()
    loop = CellLoop(cell.strategy, setting.channel, rounds, lambda event: True, clients=setting.clients)
    train_loop(workers, [loop])
    print(f"a round of {PER_ROUND} clients: {1000 * (process_time() - start) / rounds:.0f} ms over {rounds} rounds")
    print(f"peak of resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def repeated(data: DatasetTensors, samples: int) -> DatasetTensors:
    at = torch.from_numpy(np.arange(samples) % len(data.train_y))
    return replace(data, train_x=data.train_x[at], train_y=data.train_y[at])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
