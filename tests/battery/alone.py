"""One cell by itself, in this process, and what it raises."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fdabench.datasets.base import Data
from fdabench.run.shared import load_all
from fdabench.run.simulate import Job, Simulated, simulate


def data_of(config: Mapping[str, Any], root: Path = Path("no-data")) -> Data:
    return load_all([config["dataset"]], root)[config["dataset"]]


def simulate_alone(
    config: Mapping[str, Any], root: Path = Path("no-data"), stop_asked: Callable[[], bool] = lambda: False
) -> Simulated:
    (done,) = simulate([Job("0" * 12, config)], data_of(config, root), stop_asked=stop_asked)
    if isinstance(done, Exception):
        raise done
    return done
