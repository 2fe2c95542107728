"""What the gate keeps of a results folder: the totals of each run, and what tells one run from another.

A *run* is one seed of a cell. Runs are paired by id, so neither the order of a suite's tables nor what else is in it
matters; `cell` is the same for all seeds of a cell, and readable.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from fdabench.results.derive import derive_hits, derive_runs
from fdabench.results.load import Results
from fdabench.results.store import RESULTS, Record

PROTOCOL = ("convention", "targets", "hit", "reach")
_CLASS = ("torch", "platform", "device", "capability", "threads", "deterministic")


class Sync(NamedTuple):
    """A sync; the estimate is NaN without a monitor."""

    step: int
    estimate: float


@dataclass(frozen=True)
class Run:
    """One seed of a cell. Bytes are over all workers, in the snapshot's convention."""

    cell: str
    seed: int
    id: str
    environment: str
    state: str
    num_parameters: int
    seeds: str
    """Hash of what every draw is seeded with."""
    partition: str
    """Hash of how many samples of each class each worker holds."""
    payload: Mapping[str, tuple[int, ...]]
    """Bytes that one worker puts into one collective, by kind; all sizes that occurred."""
    theta: float | None
    period: float | None
    steps: int
    syncs: int
    sync_steps: str
    """Hash of the steps that synchronised."""
    first_syncs: tuple[Sync, ...]
    """All of them, or the first, where this was read from a baseline file."""
    bytes_model: int
    bytes_state: int
    bytes_optimizer: int
    bytes_total: int
    accuracy: float
    bytes_to: Mapping[str, int]
    """Bytes to each target; a target that was missed is absent."""
    steps_to: Mapping[str, int]
    """The same in steps; for limits, not in baselines."""

    @property
    def who(self) -> str:
        return f"{self.cell} s{self.seed}"


@dataclass(frozen=True)
class Snapshot:
    """All runs that have a result, sorted; `protocol` is how they were read: convention, targets, hit, reach."""

    suite: str
    protocol: Mapping[str, Any]
    environments: Mapping[str, Mapping[str, Any]]
    runs: tuple[Run, ...]
    unfinished: Mapping[str, str] = field(default_factory=dict)
    """Cells without a result, by id: `fda ... s0 (failed)`."""

    @property
    def by_id(self) -> dict[str, Run]:
        return {run.id: run for run in self.runs}


def snapshot(results: Results, protocol: Mapping[str, Any] | None = None) -> Snapshot:
    """The folder as the gate sees it, its costs read by another protocol where one is given."""
    read_by = {key: (protocol or results.lock)[key] for key in PROTOCOL}
    lock = {**results.lock, **read_by}
    finished = {key: record for key, record in results.records.items() if record["state"] in RESULTS}
    totals = derive_runs(lock, finished, results.evals, results.ledger).set_index("cell_id")
    hits = dict(list(derive_hits(lock, finished, results.evals, results.ledger).groupby("cell_id")))
    tables = {name: dict(list(getattr(results, name).groupby("cell_id"))) for name in ("ledger", "rounds", "partition")}
    found = []
    for cell in results.lock["cell"]:
        if cell["id"] in finished:
            own = {name: by_cell.get(cell["id"], pd.DataFrame()) for name, by_cell in tables.items()}
            reached = hits.get(cell["id"], pd.DataFrame(columns=["target", "reached", "bytes_total", "step"]))
            found.append(_run(finished[cell["id"]], totals.loc[cell["id"]], reached, own))
    environments = {digest(kind): kind for kind in map(environment_class, finished.values())}
    unfinished = {
        c["id"]: _without(c["config"], results.records.get(c["id"])) for c in lock["cell"] if c["id"] not in finished
    }
    ordered = sorted(found, key=lambda run: (run.cell, run.seed, run.id))
    return Snapshot(lock["suite"], read_by, environments, tuple(ordered), unfinished)


def _without(config: Mapping[str, Any], record: Record | None) -> str:
    """A cell that has no result, and what became of it."""
    return f"{cell_key(config)} s{config['seed']} ({record['state'] if record else 'pending'})"


def _run(record: Record, total: "pd.Series[Any]", hits: pd.DataFrame, own: Mapping[str, pd.DataFrame]) -> Run:
    syncs = _syncs(own["rounds"])
    reached = hits[hits["reached"].astype(bool)]
    targets = [str(float(target)) for target in reached["target"]]
    config, resolved = record["config"], record["resolved"]
    every_step = 1.0 if config["strategy"]["kind"] == "synchronous" else None
    return Run(
        cell=cell_key(config),
        seed=config["seed"],
        id=record["id"],
        environment=digest(environment_class(record)),
        state=record["state"],
        num_parameters=resolved["num_parameters"],
        seeds=digest(record.get("seeds", {})),
        partition=digest(own["partition"].drop(columns="cell_id", errors="ignore").to_numpy().tolist()),
        payload=_payload(own["ledger"]),
        theta=resolved.get("theta"),
        period=resolved.get("period", every_step),
        steps=int(total["steps"]),
        syncs=int(total["syncs"]),
        sync_steps=digest([sync.step for sync in syncs]),
        first_syncs=syncs,
        bytes_model=int(total["bytes_model"]),
        bytes_state=int(total["bytes_state"]),
        bytes_optimizer=int(total["bytes_optimizer"]),
        bytes_total=int(total["bytes_total"]),
        accuracy=float(total["final_accuracy"]),
        bytes_to=dict(zip(targets, map(int, reached["bytes_total"]), strict=True)),
        steps_to=dict(zip(targets, map(int, reached["step"]), strict=True)),
    )


def _syncs(rounds: pd.DataFrame) -> tuple[Sync, ...]:
    if rounds.empty:
        return ()
    pairs = zip(rounds["step"], rounds["estimate"].astype(float).fillna(math.nan), strict=True)
    return tuple(Sync(int(step), float(estimate)) for step, estimate in pairs)


def _payload(ledger: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    sizes = ledger.groupby("kind")["payload_bytes"].unique()
    return {str(kind): tuple(sorted(int(size) for size in found)) for kind, found in sizes.items()}


def environment_class(record: Record) -> dict[str, Any]:
    """What runs must have in common for their last bits to be the same."""
    environment = record.get("environment", {})
    found = {key: environment[key] for key in _CLASS if key in environment}
    engine = str(record.get("engine", "unknown"))
    # rows of one matrix round otherwise than alone, but for the engine that takes them one by one
    together = f" x{record.get('together', 1)}" if engine != "sequential" else ""
    return found | {"engine": engine + together}


def cell_key(config: Mapping[str, Any]) -> str:
    """What a person recognises a cell by, and a hash of all of it but the seed: the same whatever else a suite has."""
    kind, *rest = config["partition"].values()
    whole = {key: value for key, value in config.items() if key != "seed"}
    where = f"{kind} {rest[0]}" if rest else kind
    crew = f"K={config['workers']} b={config['batch_size']}"
    what = f"{config['dataset']} {config['model']}"
    name = f"{_strategy(config['strategy'])} | {what} | {where} | {crew} #{digest(whole)[:6]}"
    # a plug-in's values may be any text, and a name stands in lines, tables and XML
    return "".join(character if character.isprintable() else " " for character in name)


def _strategy(table: Mapping[str, Any]) -> str:
    """`fda linear theta=0.3`: kinds of components, and the values of the strategy itself."""
    kinds, values = [str(table["kind"])], []
    for key, value in sorted(table.items()):
        if isinstance(value, Mapping) and "kind" in value:
            kinds += [str(value["kind"])] if value["kind"] != "average" else []
        elif isinstance(value, Mapping):
            values += [f"{key}.{name}={number:g}" for name, number in value.items()]
        elif key != "kind" and (key, value) != ("every", 1):
            values.append(f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}")
    return " ".join(kinds + values)


def digest(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Short, and the same for the same values in any process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
