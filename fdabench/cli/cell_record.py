"""One cell for programs: everything that its page says, and its tables whole."""

from typing import Any

from fdabench.accounting.costs import CONVENTIONS, total_bytes
from fdabench.cli.cell_results import CellResults
from fdabench.cli.evaluations import evaluation_records
from fdabench.cli.states import live_state
from fdabench.report.tables.build import records_of
from fdabench.results.folder import ResultsFolder

_COUNTS = ("step", "step_before", "syncs", "bytes_model", "bytes_state", "bytes_total")
_SHOWN = ("attempts", "started", "ended", "steps", "wall_s", "remarks", "error", "plugin")


def cell_record(found: CellResults) -> dict[str, Any]:
    """Accuracies are fractions, bytes whole numbers over all workers, times seconds."""
    cell, run = found.cell, found.run
    record = found.record.to_dict() if found.record else {}
    return {
        "folder": found.folder.as_posix(),
        "id": cell.id,
        "what": cell.title,
        "label": cell.label,
        "reference": cell.is_reference,
        "seed": cell.config.seed,
        "state": live_state(ResultsFolder(found.folder), cell.id, found.record),
        "config": cell.config.to_dict(),
        **{key: record[key] for key in _SHOWN if key in record},
        **{key: record.get(key, {}) for key in ("resolved", "environment")},
        "convention": found.convention,
        **{key: run[key] for key in ("final_accuracy", "best_accuracy", "syncs", "bytes_total")},
        "targets": [_whole(row) for row in records_of(found.hits.drop(columns="cell_id"))],
        "evaluations": evaluation_records(found),
        "ledger": records_of(found.ledger.drop(columns="cell_id")),
        "bytes_by_convention": _costs(found) if found.has_result else {},
        "syncs_at": [int(step) for step in found.rounds["step"]],
        "rounds": records_of(found.rounds.drop(columns="cell_id")),
    }


def _costs(found: CellResults) -> dict[str, int]:
    workers = found.cell.config.workers
    return {name: total_bytes(found.ledger, workers, name).total for name in CONVENTIONS}


def _whole(hit: dict[str, Any]) -> dict[str, Any]:
    """Counts as whole numbers, which beside a miss are floats in pandas."""
    return {key: int(value) if key in _COUNTS and value == value else value for key, value in hit.items()}
