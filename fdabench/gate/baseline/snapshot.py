"""Summarizes a results folder for the gate."""

import math
from collections.abc import Mapping
from typing import cast

import pandas as pd

from fdabench.component_info import ComponentInfo
from fdabench.gate.baseline.keys import cell_key, environment_class, short_hash
from fdabench.gate.baseline.model import EvaluationProtocol, ResultsSummary, RunSummary, Sync, UnfinishedRun
from fdabench.gate.output.source_files import relative_to_cwd
from fdabench.results.cell_record import CellRecord
from fdabench.results.derive import derive_hits, derive_runs
from fdabench.results.load import Results
from fdabench.results.suite_lock import LockedCell


def summarize_results(results: Results, protocol: EvaluationProtocol | None = None) -> ResultsSummary:
    """Summarize the runs of a results folder.

    Args:
        results: the content of the folder.
        protocol: convention, targets and rules by which costs are evaluated; those of the results' suite if None.
    """
    lock = results.lock.with_changes(protocol._asdict()) if protocol else results.lock
    read_by = EvaluationProtocol(lock.convention, lock.targets, lock.consecutive, lock.comparison, lock.metric)
    finished = {key: record for key, record in results.records.items() if record.has_result}
    totals = derive_runs(lock, finished, results.evals, results.ledger).set_index("cell_id")
    hits = dict(list(derive_hits(lock, finished, results.evals, results.ledger).groupby("cell_id")))
    tables = {name: dict(list(getattr(results, name).groupby("cell_id"))) for name in ("ledger", "rounds", "partition")}
    summaries = []
    for cell in lock.cell:
        if cell.id in finished:
            own = {name: by_cell.get(cell.id, pd.DataFrame()) for name, by_cell in tables.items()}
            reached = hits.get(cell.id, pd.DataFrame(columns=["target", "reached", "bytes_total", "step"]))
            strategy = lock.info("strategies", cell.config.strategy.kind)
            summaries.append(_run(finished[cell.id], cast("pd.Series", totals.loc[cell.id]), reached, own, strategy))
    environments = {
        short_hash(kind): kind
        for kind in (environment_class(record.compute_environment) for record in finished.values())
    }
    unfinished = {
        cell.id: _unfinished(cell, results.records.get(cell.id)) for cell in lock.cell if cell.id not in finished
    }
    ordered = sorted(summaries, key=lambda run: (run.cell, run.seed, run.id))
    return ResultsSummary(lock.suite, read_by, environments, tuple(ordered), unfinished)


def _unfinished(locked: LockedCell, record: CellRecord | None) -> UnfinishedRun:
    """The state of a run without a result, and the last line of its traceback (`fdabench show` prints all of it)."""
    cell, key = cell_key(locked.config), locked.id
    title = f"{cell} s{locked.config.seed}"
    if record is None:
        return UnfinishedRun(cell, title, "pending", key, "", relative_to_cwd(""))
    lines = [" ".join(line.split()) for line in record.error.splitlines() if line.strip()]
    return UnfinishedRun(cell, title, record.state, key, lines[-1] if lines else "", relative_to_cwd(record.plugin))


def _run(
    record: CellRecord,
    total: pd.Series,
    hits: pd.DataFrame,
    own: Mapping[str, pd.DataFrame],
    strategy: ComponentInfo,
) -> RunSummary:
    syncs = _syncs(own["rounds"])
    reached = hits[hits["reached"].astype(bool)]
    targets = [str(float(target)) for target in reached["target"]]
    resolved = record.resolved
    return RunSummary(
        cell=cell_key(record.config),
        seed=record.config.seed,
        id=record.id,
        environment=short_hash(environment_class(record.compute_environment)),
        state=record.state,
        num_parameters=int(resolved["num_parameters"]),
        seeds=short_hash(record.seeds),
        partition=short_hash(own["partition"].drop(columns="cell_id", errors="ignore").to_numpy().tolist()),
        payload=_payload(own["ledger"]),
        theta=resolved.get("theta"),
        period=resolved.get("period", strategy.sync_period and float(strategy.sync_period)),
        steps=int(total["steps"]),
        syncs=int(total["syncs"]),
        sync_steps=short_hash([sync.step for sync in syncs]),
        first_syncs=syncs,
        bytes_model=int(total["bytes_model"]),
        bytes_state=int(total["bytes_state"]),
        bytes_optimizer=int(total["bytes_optimizer"]),
        bytes_total=int(total["bytes_total"]),
        accuracy=float(total["final_accuracy"]),
        loss=float(total["final_loss"]),
        bytes_to=dict(zip(targets, map(int, reached["bytes_total"]), strict=True)),
        steps_to=dict(zip(targets, map(int, reached["step"]), strict=True)),
        config={key: value for key, value in record.config.to_dict().items() if key != "seed"},
    )


def _syncs(rounds: pd.DataFrame) -> tuple[Sync, ...]:
    if rounds.empty:
        return ()
    pairs = zip(rounds["step"], rounds["estimate"].astype(float).fillna(math.nan), strict=True)
    return tuple(Sync(int(step), float(estimate)) for step, estimate in pairs)


def _payload(ledger: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    sizes = ledger.groupby("kind")["payload_bytes"].unique()
    return {str(kind): tuple(sorted(int(size) for size in values)) for kind, values in sizes.items()}
