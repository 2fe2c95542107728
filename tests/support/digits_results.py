"""Results folders of the digits without training, written with the functions of the program."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fdabench.accounting.costs import PAPER, ByteCounts
from fdabench.cell_config import CellConfig
from fdabench.results.cell_record import SUCCESS_STATES, CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import Results, load
from fdabench.results.suite_lock import LockedCell, SuiteLock
from fdabench.suite.cell import Cell
from support.components import components_of

PARAMETERS = 50_890
CLASSES = 10
SKETCH = 5 * 250 + 1
ADAM = {
    "kind": "adam",
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-7,
    "weight_decay": 0.0,
    "state_on_sync": "keep",
}
SGD = {"kind": "sgd", "lr": 0.01, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "state_on_sync": "keep"}
DIRICHLET = {"kind": "dirichlet", "alpha": 0.1, "shares": "per-class"}

ONE_CELL: dict[str, Any] = {
    "dataset": "digits",
    "model": "mlp",
    "workers": 2,
    "batch_size": 32,
    "optimizer": {"kind": "sgd", "lr": 0.01},
    "partition": {"kind": "iid"},
    "strategy": {"kind": "synchronous"},
    "budget": {"steps": 8},
    "eval": {"every_steps": 4},
    "seed": 0,
}


def make_record(cell_id: str, state: str = "done", **keys: Any) -> CellRecord:
    """A record with the keys that each one has, and those that are given."""
    result = {"steps": 8, "wall_s": 1.0} if state in SUCCESS_STATES else {}
    return CellRecord.from_table({"id": cell_id, "state": state, "attempts": 1, "config": ONE_CELL, **result, **keys})


def make_lock(cells: Sequence[Mapping[str, Any] | LockedCell], **keys: Any) -> SuiteLock:
    """A frozen suite with the keys that each one has, and those that are given."""
    rules = {"consecutive": 1, "comparison": ">=", "convention": "paper"}
    return SuiteLock.from_table({"suite": "s", "seeds": [0], "targets": [], **rules, "cell": cells, **keys})


@dataclass(frozen=True)
class Strategy:
    """A label, its table in a cell's configuration, and how the simulated training proceeds."""

    label: str
    table: Mapping[str, Any]
    top: float = 0.99
    slowness: float = 60.0
    period: int = 0
    state: int = 0
    optimizer: Mapping[str, Any] = field(default_factory=lambda: ADAM)


@dataclass(frozen=True)
class Suite:
    strategies: Sequence[Strategy]
    partitions: Sequence[Mapping[str, Any]] = (DIRICHLET,)
    workers: Sequence[int] = (4,)
    seeds: Sequence[int] = (0, 1, 2)
    targets: Sequence[float] = (0.9, 0.95)
    steps: int = 400
    convention: str = "paper"
    reference: str = "Synchronous"
    tuning: str = "learning rates on seed 100, one grid for all"
    states: Mapping[tuple[str, int], str] = field(default_factory=dict)
    torch: Callable[[int], str] = lambda seed: "2.9.0"


def reduced(payload: int) -> dict[str, str | int]:
    """What the row of an all-reduce has besides its payload."""
    return {"operation": "all_reduce", "down_bytes": payload, "slack": 0}


def fda(monitor: str, theta: float, **rest: Any) -> Strategy:
    state = {"naive": 1, "linear": 2, "sketch": SKETCH, "exact": PARAMETERS + 1}.get(monitor, 3)
    name = {"naive": "NaiveFDA", "linear": "LinearFDA", "sketch": "SketchFDA", "exact": "ExactFDA"}.get(
        monitor, monitor
    )
    table = {"kind": "fda", "monitor": {"kind": monitor}, "theta": theta, "every": 1, "server": {"kind": "average"}}
    return Strategy(f"{name} θ={theta:g}", table, state=state, **rest)


def synchronous(**rest: Any) -> Strategy:
    return Strategy("Synchronous", {"kind": "synchronous", "server": {"kind": "average"}}, period=1, **rest)


def periodic(label: str, kind: str, period: int, **rest: Any) -> Strategy:
    server = {"fedadam": {"kind": "adam-keras", "lr": 1e-3}, "fedavgm": {"kind": "momentum", "lr": 0.3}}
    table = {"kind": kind, "local_steps": period, "server": server.get(kind, {"kind": "average"})}
    return Strategy(label, table, period=period, **rest)


SIX = (
    synchronous(),
    periodic("FedAvg τ=50", "fedavg", 50, slowness=80),
    periodic("FedAdam τ=50", "fedadam", 50, top=0.93, slowness=150, optimizer=SGD),
    fda("naive", 1.0, slowness=70),
    fda("linear", 1.0, slowness=70),
    fda("sketch", 1.0, slowness=65),
)


def write(root: Path, suite: Suite) -> Results:
    """Write every cell of the suite into the folder `root`, and load it as a report does."""
    store, cells = ResultsFolder(root), []
    for partition in suite.partitions:
        for workers in suite.workers:
            for strategy in suite.strategies:
                for seed in suite.seeds:
                    cells.append(_cell(suite, strategy, partition, workers, seed))
    store.write_lock(
        SuiteLock.from_table(
            {
                "fdabench": "0.1.0",
                "suite": root.name,
                "description": "pretended digits",
                "tuning": suite.tuning,
                "source": "/home/somebody/suites/pretended.toml",
                "overrides": ["budget.steps=400"],
                "seeds": list(suite.seeds),
                "targets": list(suite.targets),
                "consecutive": 1,
                "comparison": ">=",
                "convention": suite.convention,
                "components": components_of(cell["config"] for cell in cells),
                "cell": cells,
            }
        )
    )
    by_label = {strategy.label: strategy for strategy in suite.strategies}
    for cell in cells:
        state = suite.states.get((cell["label"], cell["config"]["seed"]), "done")
        if state != "pending":
            _run(store, suite, by_label[cell["label"]], cell, state)
    return load(root)


def _cell(suite: Suite, strategy: Strategy, partition: Mapping[str, Any], workers: int, seed: int) -> dict[str, Any]:
    config = {
        "dataset": "digits",
        "model": "mlp",
        "workers": workers,
        "batch_size": 32,
        "sampling": "shuffle",
        "last_batch": "wrap",
        "averaging": "uniform",
        "partition": dict(partition),
        "optimizer": dict(strategy.optimizer),
        "strategy": dict(strategy.table),
        "budget": {"steps": suite.steps},
        "eval": {"every_steps": 20, "model": "virtual-mean"},
        "seed": seed,
    }
    name = Cell(CellConfig.from_table(config), strategy.label, False).id
    return {"id": name, "label": strategy.label, "reference": strategy.label == suite.reference, "config": config}


def _run(store: ResultsFolder, suite: Suite, strategy: Strategy, cell: dict[str, Any], state: str) -> None:
    config = cell["config"]
    resolved: dict[str, Any] = {"num_parameters": PARAMETERS, "train_samples": 1437, "steps_per_epoch": 11.2}
    if "theta" in strategy.table:
        resolved["theta"] = strategy.table["theta"]
    if strategy.period:
        resolved["period"] = float(strategy.period)
    steps = 60 if state == "diverged" else suite.steps
    environment = {"fdabench": "0.1.0", "torch": suite.torch(config["seed"]), "device": "cpu", "threads": 1}
    record = {
        "id": cell["id"],
        "config": config,
        "state": state,
        "attempts": 1,
        "started": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:01:00Z",
        "wall_s": 60.0,
        "steps": steps,
        "resolved": resolved,
        "seeds": {},
        "code": {},
        "environment": environment,
    }
    if state == "failed":
        error = "Traceback\nValueError: /home/somebody/data/digits.csv is empty"
        store.write_record(CellRecord.from_table({**record, "error": error}))
        return
    tables = _tables(strategy, config, steps, state)
    tables["evals"] = [{"cell_id": cell["id"], **row} for row in tables["evals"]]
    store.write_tables(cell["id"], tables, json.dumps(config))
    store.write_record(CellRecord.from_table(record))


@dataclass(frozen=True)
class Step:
    """One step of a simulated run, before its sync if it has one."""

    number: int
    estimate: float
    variance: float
    syncs: int
    since_sync: int
    synced: bool


def _walk(strategy: Strategy, hard: float, steps: int, random: np.random.Generator) -> Iterator[Step]:
    """The variance grows at random; the monitor overestimates it; a sync sets it to zero."""
    kind, theta = strategy.table.get("monitor", {}).get("kind", ""), strategy.table.get("theta", math.nan)
    loose = {"naive": 1.3, "linear": 1.25, "sketch": 1.08, "exact": 1.0}.get(kind, 1.4)
    variance, syncs, last_sync = 0.0, 0, 0
    for step in range(1, steps + 1):
        variance += 0.03 * hard * (1 + 2 * math.exp(-step / 80)) * random.uniform(0.6, 1.4)
        estimate = variance * loose * random.uniform(0.97, 1.03) if kind else math.nan
        synced = estimate > theta if kind else step % strategy.period == 0
        yield Step(step, estimate, variance, syncs, step - last_sync, synced)
        if synced:
            variance, syncs, last_sync = 0.0, syncs + 1, step


def _tables(strategy: Strategy, config: Mapping[str, Any], steps: int, state: str) -> dict[str, list[dict[str, Any]]]:
    axes = [strategy.label, config["seed"], config["workers"], config["partition"]]
    digest = hashlib.sha256(json.dumps(axes).encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    hard, theta = 1.5 if config["partition"].get("alpha", 9) < 1 else 1.0, strategy.table.get("theta", math.nan)
    walk = list(_walk(strategy, hard, steps, random))
    synced = [step for step in walk if step.synced]
    rounds = [
        {"round": index, "step": s.number, "steps": s.since_sync, "estimate": s.estimate, "variance": s.variance}
        for index, s in enumerate(synced, 1)
    ]
    return {
        "evals": [_eval(strategy, config["workers"], hard, s, state, random) for s in walk if s.number % 20 == 0],
        "ledger": _ledger(strategy, rounds, steps),
        "rounds": [{**row, "theta": theta} for row in rounds],
        "trace": [{"step": s.number, "estimate": s.estimate} for s in walk if math.isfinite(s.estimate)],
        "partition": _partition(config, random),
    }


def _eval(
    strategy: Strategy, workers: int, hard: float, at: Step, state: str, random: np.random.Generator
) -> dict[str, Any]:
    learned = strategy.top * (1 - 0.9 * math.exp(-at.number / (strategy.slowness * hard))) + random.normal(0, 0.002)
    accuracy = 0.1 if state == "diverged" and at.number > 40 else min(learned, 0.999)
    return {
        "step": at.number,
        "epoch": at.number / 11.2,
        "round": at.syncs + 1,
        "syncs": at.syncs,
        "after_sync": False,
        **_spent(strategy, at.number, at.syncs, workers),
        "test_accuracy": accuracy,
        "test_loss": 1 - accuracy,
        "train_loss": 1 - accuracy,
        "train_accuracy": accuracy,
        "estimate": at.estimate,
        "variance": at.variance,
        "wall_s": at.number / 10,
    }


def _spent(strategy: Strategy, step: int, syncs: int, workers: int) -> dict[str, int]:
    model, state = (syncs + 1) * 8 * PARAMETERS * workers, 4 * strategy.state * step * workers
    return ByteCounts(model, state, 0).columns(PAPER)


def _ledger(strategy: Strategy, rounds: Sequence[Mapping[str, Any]], steps: int) -> list[dict[str, Any]]:
    def row(kind: str, first: int, last: int, count: int, elements: int) -> dict[str, Any]:
        return {
            "kind": kind,
            "first_step": first,
            "last_step": last,
            "count": count,
            "elements": elements,
            "dtype": "float32",
            "payload_bytes": 4 * elements,
            **reduced(4 * elements),
        }

    rows = [row("initial", 0, 0, 1, PARAMETERS)]
    rows += [row("model", r["step"], r["step"], 1, PARAMETERS) for r in rounds]
    if strategy.state:
        rows.append(row("state", 1, steps, steps, strategy.state))
    return rows


def _partition(config: Mapping[str, Any], random: np.random.Generator) -> list[dict[str, Any]]:
    alpha = config["partition"].get("alpha", 1e4)
    shares = random.dirichlet([alpha] * config["workers"], CLASSES)
    return [
        {"worker": worker, "label": label, "samples": int(144 * shares[label, worker])}
        for worker in range(config["workers"])
        for label in range(CLASSES)
    ]


FULL = Suite(
    SIX,
    partitions=(DIRICHLET, {"kind": "iid"}),
    targets=(0.9, 0.95, 0.999),
    states={("NaiveFDA θ=1", 1): "diverged", ("LinearFDA θ=1", 2): "failed", ("SketchFDA θ=1", 0): "pending"},
    torch=lambda seed: "2.9.0" if seed else "2.10.0",
    tuning="",
)


def write_by_hand(root: Path) -> Results:
    """Two strategies, two seeds, a model of ten numbers on two workers: every byte can be counted by hand.

    One sync costs 2 * 2 * 40 = 160 bytes. Synchronous reaches 90 % at step 4 of seed 0 and step 6 of seed 1, an
    evaluation being made before the sync of its step: (1 + 3) * 160 and (1 + 5) * 160 bytes. The other sends a state
    of 8 bytes at each step, synchronizes at step 2 and reaches it at step 4 (seed 0) and at step 8 (seed 1).
    """
    store, cells = ResultsFolder(root), []
    linear = fda("linear", 1.0)
    for strategy, hits in ((synchronous(), (4, 6)), (linear, (4, 8))):
        for seed, hit in enumerate(hits):
            suite = Suite((strategy,), seeds=(seed,), steps=8)
            cell = _cell(suite, strategy, {"kind": "iid"}, 2, seed)
            cells.append(cell)
            _write_by_hand(store, suite, strategy, cell, hit)
    store.write_lock(
        SuiteLock.from_table(
            {
                "fdabench": "0.1.0",
                "suite": "hand",
                "description": "",
                "tuning": "",
                "source": "hand.toml",
                "overrides": [],
                "seeds": [0, 1],
                "targets": [0.9],
                "consecutive": 1,
                "comparison": ">=",
                "convention": "paper",
                "components": components_of(cell["config"] for cell in cells),
                "cell": cells,
            }
        )
    )
    return load(root)


def _write_by_hand(store: ResultsFolder, suite: Suite, strategy: Strategy, cell: dict[str, Any], hit: int) -> None:
    every = strategy.label == "Synchronous"

    def row(kind: str, first: int, last: int, payload: int) -> dict[str, Any]:
        count = last - first + 1
        facts = {"kind": kind, "first_step": first, "last_step": last, "count": count}
        return facts | {"elements": payload // 4, "dtype": "float32", "payload_bytes": payload} | reduced(payload)

    def syncs(step: int) -> int:
        return step - 1 if every else int(step > 2)

    ledger = [row("initial", 0, 0, 40), row("model", 1, 8, 40) if every else row("model", 2, 2, 40)]
    ledger += [] if every else [row("state", 1, 8, 8)]
    reading: dict[str, float] = {**ByteCounts(0, 0, 0).columns(PAPER)}
    reading |= dict.fromkeys(("epoch", "test_loss", "train_loss", "train_accuracy", "variance", "wall_s"), 0.0)
    evals = [
        {
            "cell_id": cell["id"],
            "step": step,
            "round": syncs(step) + 1,
            "syncs": syncs(step),
            "after_sync": False,
            "estimate": math.nan,
            **reading,
            "test_accuracy": 0.91 if step >= hit else 0.5,
        }
        for step in (2, 4, 6, 8)
    ]
    config = cell["config"]
    tables = {"evals": evals, "ledger": ledger, "rounds": [], "trace": [], "partition": []}
    store.write_tables(cell["id"], tables, json.dumps(config))
    store.write_record(make_record(cell["id"], config=config, resolved={"num_parameters": 10}))
