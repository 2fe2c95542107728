"""Computes the tables `runs` (one row for each cell) and `hits` (one row for each cell and target).

Both are derived from the other tables, so they can be built again at any time. `results.load` and the gate call this
module.
"""

import math
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from fdabench.accounting.costs import SYNC_KINDS, EvalPoint, bytes_at, peak_step_bytes, total_bytes, upstream_bytes
from fdabench.formatting import format_component
from fdabench.metrics import ACCURACY, METRICS, Metric
from fdabench.results.cell_record import CellRecord
from fdabench.results.schema import HITS, RUNS, extend_schema
from fdabench.results.suite_lock import LockedCell, SuiteLock
from fdabench.results.workloads import WorkloadTitle, workloads_of

_OPTIONAL_PARTS = {"trigger": "when", "codec": "codec", "correction": "correction"}
"""Column of `runs` -> field of the strategy. The column is empty if the strategy does not have the field."""


def derive_runs(
    lock: SuiteLock, records: Mapping[str, CellRecord], evals: pd.DataFrame, ledger: pd.DataFrame
) -> pd.DataFrame:
    """Return one row for each cell of the suite, including cells that were not run yet.

    Args:
        lock: the frozen suite; bytes are counted by its convention.
        records: the records of the cells that were started, by cell id.
        evals: the evaluations of all cells with a result.
        ledger: the ledgers of all cells with a result.
    """
    evals_of, ledger_of = dict(list(evals.groupby("cell_id"))), dict(list(ledger.groupby("cell_id")))
    workloads = workloads_of(lock.cell)
    rows = []
    for cell in lock.cell:
        record = records.get(cell.id)
        axes = _axes(cell, workloads[cell.id], record.resolved if record else {})
        if lock.info("partitions", cell.config.partition.kind).is_iid:
            axes["alpha"] = math.inf
        row = {"suite": lock.suite, **axes, "state": record.state if record else "pending"}
        if record and record.has_result:
            row |= _outcome(record, evals_of[cell.id], ledger_of[cell.id], lock.convention)
        rows.append(row)
    return _frame(rows, extend_schema(RUNS, "runs", {key for row in rows for key in row}))


def _axes(cell: LockedCell, workload: WorkloadTitle, resolved: Mapping[str, int | float]) -> dict[str, object]:
    config = cell.config
    monitor, server = config.strategy.component("monitor"), config.strategy.component("server")
    optional = {key: config.strategy.component(field) for key, field in _OPTIONAL_PARTS.items()}
    return {
        "cell_id": cell.id,
        "workload": workload.title,
        "workload_id": workload.id,
        "dataset": config.dataset,
        "model": config.model,
        "num_parameters": resolved.get("num_parameters"),
        "workers": config.workers,
        "batch_size": config.batch_size,
        "precision": config.precision,
        "batchnorm_stats": config.batchnorm_stats,
        "partition": format_component(config.partition.to_table()),
        "alpha": config.partition.parameters.get("alpha", math.nan),
        "strategy": config.strategy.kind,
        "monitor": monitor.kind if monitor else "",
        "server": server.kind if server else "average",
        **{key: part.kind if part else "" for key, part in optional.items()},
        "theta": resolved.get("theta", math.nan),
        "period": resolved.get("period", math.nan),
        "optimizer": config.optimizer.kind,
        "lr": config.optimizer.parameters.get("lr", math.nan),
        "seed": config.seed,
        "label": cell.label,
        "reference": cell.reference,
    }


def _outcome(record: CellRecord, evals: pd.DataFrame, ledger: pd.DataFrame, convention: str) -> dict[str, object]:
    config, steps, wall_s = record.config, record.steps, record.wall_s
    workers = config.workers
    costs = total_bytes(ledger, workers, convention)
    up = upstream_bytes(ledger, workers, convention)
    return {
        "steps": steps,
        "syncs": int(ledger.loc[ledger["kind"].isin(SYNC_KINDS), "count"].sum()),
        **costs.columns(),
        "bytes_up": up,
        "bytes_down": costs.total - up,
        "peak_step_bytes": peak_step_bytes(ledger, workers, convention),
        "final_accuracy": evals["test_accuracy"].iloc[-1],
        "best_accuracy": evals["test_accuracy"].max(),
        "final_loss": evals["test_loss"].iloc[-1],
        "best_loss": evals["test_loss"].min(),
        **({"final_worst_decile": evals["test_worst_decile"].iloc[-1]} if config.eval.worst_decile else {}),
        "wall_s": wall_s,
        "worker_steps_per_s": steps * workers / wall_s,
    }


def derive_hits(
    lock: SuiteLock, records: Mapping[str, CellRecord], evals: pd.DataFrame, ledger: pd.DataFrame
) -> pd.DataFrame:
    """Return one row for each finished cell and target, also if the cell missed the target.

    Arguments as in `derive_runs`; targets and convention are those of `lock`.
    """
    ledger_of = dict(list(ledger.groupby("cell_id")))
    metric = METRICS[lock.metric]
    rows = []
    for key, history in evals.groupby("cell_id", sort=False):
        cell_id = str(key)
        workers, values = records[cell_id].config.workers, metric.of(history, "test")
        for target in lock.targets:
            row = {"cell_id": cell_id, "target": target, "reached": False}
            at = first_evaluation_reaching(values, target, lock.consecutive, lock.comparison, metric)
            if at is not None:
                hit = history.iloc[at]
                instant = EvalPoint(int(hit["step"]), bool(hit["after_sync"]))
                before = _before(history, at)
                costs = bytes_at(ledger_of[cell_id], instant, workers, lock.convention)
                row |= {
                    "reached": True,
                    "step": instant.step,
                    "step_before": before.step,
                    "syncs": int(hit["syncs"]),
                    **costs.columns(),
                    "bytes_before": bytes_at(ledger_of[cell_id], before, workers, lock.convention).total,
                }
            rows.append(row)
    return _frame(rows, HITS)


def _before(history: pd.DataFrame, at: int) -> EvalPoint:
    """The evaluation before the one at position `at`; the initial distribution before the first one."""
    if not at:
        return EvalPoint(0)
    return EvalPoint(int(history["step"].iloc[at - 1]), bool(history["after_sync"].iloc[at - 1]))


def _frame(rows: list[dict[str, object]], schema: pa.Schema) -> pd.DataFrame:
    frame: pd.DataFrame = pa.Table.from_pylist(rows, schema=schema).to_pandas()
    return frame


def first_evaluation_reaching(
    values: pd.Series, target: float, consecutive: int, comparison: str, metric: Metric = ACCURACY
) -> int | None:
    """Return the position at which the first `consecutive` evaluations in a row that reach `target` begin.

    Args:
        values: the values of one cell's evaluations, in order.
        target: the value to reach.
        consecutive: how many evaluations in a row have to reach it.
        comparison: the suite's `eval.comparison`. ">=" counts a value that is equal to the target, ">" does not.
        metric: of the values and the target; it has the direction.

    Returns:
        The position; None if there is no such sequence.

    >>> first_evaluation_reaching(pd.Series([0.8, 0.9, 0.8, 0.9, 0.95]), 0.9, 2, ">=")
    3
    """
    run_length = 0
    for position, ok in enumerate(metric.reached(values, target, comparison)):
        run_length = run_length + 1 if ok else 0
        if run_length == consecutive:
            return position - consecutive + 1
    return None
