"""One cell as a JSON object, which `fdabench show --output-format json` prints."""

from typing import Any

from fdabench.accounting.costs import CONVENTIONS, total_bytes
from fdabench.cli.cell_results import CellResults
from fdabench.cli.evaluations import evaluation_records
from fdabench.cli.states import live_state
from fdabench.report.tables.build import records_of
from fdabench.results.folder import ResultsFolder

_COUNTS = ("step", "step_before", "syncs", "bytes_model", "bytes_state", "bytes_total")
_SHOWN = ("attempts", "started", "ended", "steps", "wall_s", "remarks", "error", "plugin")


def cell_record(results: CellResults) -> dict[str, object]:
    """Return everything that the page of the cell shows, and its tables without truncation.

    Accuracies are fractions, bytes are integers over all workers, and times are in seconds.
    """
    cell, run = results.cell, results.run
    record = results.record.to_dict() if results.record else {}
    return {
        "folder": results.folder.as_posix(),
        "id": cell.id,
        "what": cell.title,
        "label": cell.label,
        "reference": cell.is_reference,
        "seed": cell.config.seed,
        "state": live_state(ResultsFolder(results.folder), cell.id, results.record),
        "config": cell.config.to_dict(),
        **{key: record[key] for key in _SHOWN if key in record},
        **{key: record.get(key, {}) for key in ("resolved", "environment")},
        "convention": results.convention,
        "metric": results.metric.name,
        **{key: run[key] for key in ("final_accuracy", "best_accuracy", "final_loss", "best_loss")},
        **{key: run[key] for key in ("syncs", "bytes_total")},
        "targets": [_restore_integers(row) for row in records_of(results.hits.drop(columns="cell_id"))],
        "evaluations": evaluation_records(results),
        "ledger": records_of(results.ledger.drop(columns="cell_id")),
        "bytes_by_convention": _costs(results) if results.has_result else {},
        "syncs_at": [int(step) for step in results.rounds["step"]],
        "rounds": records_of(results.rounds.drop(columns="cell_id")),
    }


def _costs(results: CellResults) -> dict[str, int]:
    workers = results.cell.config.workers
    return {name: total_bytes(results.ledger, workers, name).total for name in CONVENTIONS}


def _restore_integers(hit: dict[str, Any]) -> dict[str, Any]:
    """Convert counts to integers. pandas makes a column of integers float if a row misses its target."""
    return {key: int(value) if key in _COUNTS and value == value else value for key, value in hit.items()}
