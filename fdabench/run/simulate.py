"""One cell from start to end, in this process: configuration in, tables out."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch

from fdabench.engine.loop import run
from fdabench.results.store import Rows
from fdabench.run.recorder import Progress, Recorder
from fdabench.run.setting import Config, Setting, make_setting, seeds_of


class Simulated(NamedTuple):
    """What a cell left: its state, how many steps it made, seconds of training and evaluation, and its tables."""

    state: str
    steps: int
    wall_s: float
    tables: dict[str, Rows]


def simulate(
    config: Config,
    cell_id: str,
    data_root: Path,
    device: torch.device,
    tell: Callable[[Progress], None] = lambda progress: None,
    stop_asked: Callable[[], bool] = lambda: False,
) -> Simulated:
    """
    Raises:
        TaskError, PartitionError: as `make_setting`.
    """
    torch.manual_seed(seeds_of(config)["noise"])
    setting = make_setting(config, data_root, device)
    recorder = Recorder(setting, dict(config), cell_id, tell, stop_asked)
    begun = perf_counter()
    run(setting.workers, setting.strategy, setting.channel, setting.budget, recorder.sees)
    tables: dict[str, Rows] = {
        "evals": recorder.evals,
        "ledger": [asdict(entry) for entry in setting.channel.ledger.entries],
        "rounds": recorder.rounds,
        "trace": recorder.trace,
        "partition": partition_rows(setting),
    }
    return Simulated(recorder.state, setting.channel.ledger.step, perf_counter() - begun, tables)


def partition_rows(setting: Setting) -> list[dict[str, Any]]:
    """How many samples of each class each worker holds."""
    labels = setting.data.train_y.numpy(force=True)
    return [
        {"worker": worker, "label": label, "samples": int(samples)}
        for worker, shard in enumerate(setting.shards)
        for label, samples in enumerate(np.bincount(labels[shard], minlength=setting.data.classes))
    ]
