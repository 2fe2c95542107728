"""How long `fdabench report` takes, and how much memory, for pretended results of any size.

python benchmarks/report.py [--cells 2000] [--evals 200] [--keep DIR]
"""

import hashlib
import json
import math
import resource
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from fdabench.accounting.costs import PAPER, ByteCounts
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.results.suite_lock import SuiteLock

PARAMETERS, WORKERS, SEEDS = 61_706, 10, 10
THETAS = (0.5, 1, 2, 4, 8)
ADAM = {
    "kind": "adam",
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-7,
    "weight_decay": 0.0,
    "state_on_sync": "keep",
}
AVERAGE = {"kind": "average"}
Strategy = tuple[str, dict[str, Any]]
Tables = dict[str, list[dict[str, Any]]]


def strategies() -> list[Strategy]:
    """Twenty: one reference, four periods, three monitors with five thetas each."""
    actual: list[Strategy] = [("Synchronous", {"kind": "synchronous", "server": AVERAGE})]
    actual += [
        (f"FedAvg τ={period}", {"kind": "fedavg", "local_steps": period, "server": AVERAGE})
        for period in (10, 30, 100, 300)
    ]
    for monitor, name in (("naive", "NaiveFDA"), ("linear", "LinearFDA"), ("sketch", "SketchFDA")):
        shared = {"kind": "fda", "monitor": {"kind": monitor}, "every": 1, "server": AVERAGE}
        actual += [(f"{name} θ={theta:g}", {**shared, "theta": float(theta)}) for theta in THETAS]
    return actual


def grid(cells: int) -> Iterator[tuple[Strategy, int, int]]:
    """Strategy, workload and seed, until there are enough."""
    everything = strategies()
    for number in range(cells):
        workload, rest = divmod(number, len(everything) * SEEDS)
        yield everything[rest // SEEDS], workload, rest % SEEDS


def write(root: Path, cells: int, evals: int) -> None:
    """As a run leaves it: 2,000 points of a trace for each monitored cell, at most 200 syncs for each."""
    store, locked, shared = ResultsFolder(root), [], dict[str, Tables]()
    for (label, table), workload, seed in grid(cells):
        config = _config(table, workload, seed, evals)
        name = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
        locked.append({"id": name, "label": label, "reference": label == "Synchronous", "config": config})
        # The long tables are the same for each cell of a strategy, so their rows are made once.
        if label not in shared:
            shared[label] = _long_tables(config, evals)
        store.write_tables(name, {"evals": _evals(name, config, evals), **shared[label]}, json.dumps(config))
        store.write_record(_record(name, config, evals))
    frozen = {"fdabench": "0.1.0", "suite": "pretended", "description": "", "tuning": "none", "source": "x.toml"}
    rules = {
        "overrides": [],
        "seeds": [*range(SEEDS)],
        "targets": [0.9, 0.95, 0.97],
        "consecutive": 1,
        "comparison": ">=",
    }
    store.write_lock(SuiteLock.from_table({**frozen, **rules, "convention": "paper", "cell": locked}))


def _config(table: dict[str, Any], workload: int, seed: int, evals: int) -> dict[str, Any]:
    data = {"dataset": "mnist", "model": "lenet5", "workers": WORKERS, "batch_size": 32, "sampling": "shuffle"}
    partition = {"kind": "dirichlet", "alpha": round(0.1 * 2**workload, 4), "shares": "per-class"}
    rest = {"last_batch": "wrap", "averaging": "uniform", "partition": partition, "optimizer": ADAM, "strategy": table}
    return {**data, **rest, "budget": {"steps": 20 * evals}, "eval": {"every_steps": 20}, "seed": seed}


def _record(name: str, config: dict[str, Any], evals: int) -> CellRecord:
    times = {"started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:01:00Z", "wall_s": 60.0, "steps": 20 * evals}
    environment = {"fdabench": "0.1.0", "torch": "2.13.0", "device": "cpu", "threads": 1}
    resolved: dict[str, Any] = {"num_parameters": PARAMETERS, "train_samples": 60_000, "steps_per_epoch": 187.5}
    resolved |= {"theta": config["strategy"]["theta"]} if "theta" in config["strategy"] else {}
    reference = {"id": name, "config": config, "state": "done", "attempts": 1, "seeds": {}, "code": {}}
    return CellRecord.from_table({**reference, **times, "environment": environment, "resolved": resolved})


def _period(config: dict[str, Any]) -> int:
    """Local steps between two syncs."""
    theta = config["strategy"].get("theta")
    return max(1, round(20 * theta)) if theta is not None else int(config["strategy"].get("local_steps", 1))


def _evals(name: str, config: dict[str, Any], evals: int) -> list[dict[str, Any]]:
    """One row every 20 steps; the accuracies are those of a learning curve with noise that the cell's id seeds."""
    random, steps = np.random.default_rng(int(name, 16)), 20 * evals
    theta, period = config["strategy"].get("theta", math.nan), _period(config)
    monitored = math.isfinite(theta)
    top = 0.99 - 0.002 * random.random()
    model, state = 8 * PARAMETERS * WORKERS, 40 * monitored
    rows = []
    for step in range(20, steps + 1, 20):
        syncs = step // period
        accuracy = top * (1 - 0.9 * math.exp(-step / (steps / 6))) + float(random.normal(0, 0.002))
        spent = ByteCounts((syncs + 1) * model, state * step, 0).columns(PAPER)
        visited = {"test_accuracy": accuracy, "test_loss": 1 - accuracy, "train_loss": 1 - accuracy}
        guess = {"estimate": theta * 0.6 if monitored else math.nan, "variance": 0.5, "train_accuracy": accuracy}
        place = {"cell_id": name, "step": step, "epoch": step / 187.5, "round": syncs + 1, "syncs": syncs}
        moment = {"after_sync": False, "wall_s": step / 100}
        rows.append({**place, **spent, **moment, **visited, **guess})
    return rows


def _long_tables(config: dict[str, Any], evals: int) -> Tables:
    """All tables except the evaluations."""
    steps, period, theta = 20 * evals, _period(config), config["strategy"].get("theta", math.nan)
    monitored = math.isfinite(theta)
    synced = list(range(max(period, steps // 200), steps + 1, max(period, steps // 200)))
    measured = {"estimate": theta * 1.05, "variance": 0.9, "theta": theta, "lr": 1e-3}
    rounds = [{"round": i, "step": step, "steps": period, **measured} for i, step in enumerate(synced, 1)]
    every = max(1, steps // 2000)
    trace = [{"step": step, "estimate": theta * (step % period) / period} for step in range(1, steps + 1, every)]
    stored = [{"worker": k, "label": c, "samples": 600} for k in range(WORKERS) for c in range(10)]
    ledger = [_row("initial", 0, 0, 1, PARAMETERS), _row("model", period, steps, steps // period, PARAMETERS)]
    ledger += [_row("state", 1, steps, steps, 1)] if monitored else []
    return {"ledger": ledger, "rounds": rounds, "trace": trace if monitored else [], "partition": stored}


def _row(kind: str, first: int, last: int, count: int, elements: int) -> dict[str, Any]:
    facts = {"kind": kind, "first_step": first, "last_step": last, "count": count, "elements": elements}
    sizes = {"payload_bytes": 4 * elements, "down_bytes": 4 * elements}
    return {**facts, "dtype": "float32", **sizes, "operation": "all_reduce", "slack": 0}


def measure(results: Path, out: Path) -> dict[str, float]:
    """Seconds by the clock and of the processor, and the most memory that the process held."""
    began = perf_counter()
    subprocess.run([sys.executable, "-m", "fdabench", "report", str(results), "-o", str(out)], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    page = (out / "index.html").stat().st_size
    return {
        "wall_s": round(perf_counter() - began, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_gib": round(used.ru_maxrss / 2**20, 2),
        "page_mb": round(page / 1e6, 2),
    }


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--evals", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="results are written here once, and used again")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        results = chosen.keep or Path(folder) / "results"
        if not (results / "suite.lock.toml").exists():
            write(results, chosen.cells, chosen.evals)
        print(json.dumps({"cells": chosen.cells, "evals": chosen.evals, **measure(results, Path(folder) / "report")}))


if __name__ == "__main__":
    main()
