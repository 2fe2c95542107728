"""The evaluations and the settings of each cell, as all exports write them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fdabench.analysis.outcomes import priced_evals
from fdabench.results.flatten_keys import flatten_keys
from fdabench.results.load import Results
from fdabench.suite.cell import Cell

METRICS = ("test_accuracy", "test_loss", "train_loss", "train_accuracy", "estimate", "variance")
"""Columns of `evals` that are drawn over steps and over bytes."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a cell.

    Args:
        step: local steps made by each worker.
        bytes_total: bytes of all workers by then, in the convention of the suite.
        values: the finite values of `METRICS`.
    """

    step: int
    bytes_total: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Curve:
    """A cell with a result.

    Args:
        cell_id: the id of the cell.
        title: names the cell within its suite.
        label: the name of its strategy.
        state: how it ended, such as `done`.
        settings: its configuration, nested keys joined with dots.
        evaluations: in the order of their steps.
    """

    cell_id: str
    title: str
    label: str
    state: str
    settings: Mapping[str, str]
    evaluations: Sequence[Evaluation]

    @property
    def name(self) -> str:
        """The title and the id, usable as the name of a folder."""
        return f"{self.title.replace(' | ', ' ').replace('/', '-')} {self.cell_id}"


def curves_of(results: Results) -> list[Curve]:
    """Return the cells that have a result, in the order of the suite."""
    evals = dict(list(priced_evals(results).groupby("cell_id", sort=False)))
    curves = []
    for locked in results.lock.cell:
        record = results.records.get(locked.id)
        if record is None or locked.id not in evals:
            continue
        settings = {key: str(value) for key, value in flatten_keys(locked.config.to_dict()).items()}
        evaluations = [
            Evaluation(int(row["step"]), int(row["bytes_total"]), _finite(row))
            for row in evals[locked.id].sort_values("step").to_dict("records")
        ]
        title = Cell.from_lock(locked).title
        curves.append(Curve(locked.id, title, locked.label, record.state, settings, evaluations))
    return curves


def _finite(row: Mapping[object, object]) -> dict[str, float]:
    values = {name: row[name] for name in METRICS}
    return {name: float(value) for name, value in values.items() if isinstance(value, float) and math.isfinite(value)}
