"""How time and memory grow with workers, parameters and cells. Each figure is from a process of its own."""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from cases import BATCH, noise, samplers

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.engine.arrays import LabeledData
from fdabench.engine.evaluate import model_variance
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.loop import CellLoop, StepEvent, train_loop
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.execution.backend import RunContext
from fdabench.execution.events import CellFinished, CellStarted
from fdabench.execution.local_backend import LocalBackend
from fdabench.execution.scheduler import run_cells
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.monitors.sketch import Sketch
from fdabench.optimizers.adam import Adam
from fdabench.results.folder import ResultsFolder
from fdabench.strategies.fda import FDA
from fdabench.suite.reader import read_suite

WORKERS = ("lenet5 10", "lenet5 60", "lenet5 250", "lenet5 1000")
PARAMETERS = ("mlp 5", "lenet5 5", "cnn 5", "vgg16star 5")
CELLS = (4, 16, 64)


def growth() -> list[dict[str, Any]]:
    """A row for each size."""
    rows = [_apart("matrix", *size.split()) for size in dict.fromkeys(WORKERS + PARAMETERS)]
    return rows + [_apart("cells", str(count)) for count in CELLS]


def _apart(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def matrix(model: str, workers: int) -> dict[str, Any]:
    """SketchFDA with Adam, a sync and the true variance at every step: the most that memory has to hold."""
    disable_malloc_trim()
    torch.set_num_threads(1)
    data, net = noise(model), init_model(MODELS[model], MODELS[model].input_shape or (1, 28, 28), 10, 0)
    training = TrainingConfig(net, Adam(1e-3), LabeledData(data.train_x, data.train_y), SequentialGradients)
    crew = Workers(training, [WorkerGroup(net, samplers(workers), range(workers))])
    channel = Channel(InProcessCollective(torch.full((workers,), 1 / workers)), Ledger())
    times = [perf_counter()]

    def note(moment: StepEvent) -> bool:
        model_variance(moment.w_KD, channel.collective)
        times.append(perf_counter())
        return True

    train_loop(crew, [CellLoop(FDA(0.0, Sketch()), channel, 4, note)])
    seconds, size = (times[-1] - times[1]) / 3, crew.weights().shape[1]
    speed = {"step_s": seconds, "samples_per_s": workers * BATCH / seconds, "peak_gib": _peak()}
    return {"what": model, "workers": workers, "parameters": size, **speed}


def _peak() -> float:
    """The most memory that this process has had, in GiB; `getrusage` may tell that of the process before it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM")), float("nan"))


def cells(count: int) -> dict[str, Any]:
    """As many cells of no work, in one process: what a cell costs besides its steps, and what the run has to hold."""
    text = f"""
        name = "many"
        seeds = {list(range(count))}
        budget = {{ steps = 1 }}
        eval = {{ every_steps = 1 }}
        [[workload]]
        dataset = "digits"
        model = "mlp"
        workers = 2
        batch_size = 8
        optimizer = {{ kind = "sgd", lr = 0.1 }}
        [[strategy]]
        kind = "synchronous"
    """
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "many.toml").write_text(text, encoding="utf-8")
        actual = read_suite(root / "many.toml").cells
        place = RunContext(
            ResultsFolder(root / "results"),
            load_datasets(["digits"], root),
            ExecutionConfig(torch.device("cpu"), "sequential"),
        )
        moments = [
            perf_counter()
            for event in run_cells(actual, place, LocalBackend())
            if isinstance(event, CellStarted | CellFinished)
        ]
    return {"what": "cells", "cells": count, "cell_s": (moments[-1] - moments[0]) / count}


def main() -> None:
    """The command line: one size in this process."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["matrix", "cells"])
    parser.add_argument("size", nargs="+")
    arguments = parser.parse_args()
    row = (
        matrix(arguments.size[0], int(arguments.size[1]))
        if arguments.kind == "matrix"
        else cells(int(arguments.size[0]))
    )
    print(json.dumps(row))


if __name__ == "__main__":
    main()
