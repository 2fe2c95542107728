"""The order of cells, and which of them are computed as one batch."""

from collections.abc import Sequence

from fdabench.experiment.build import batch_key
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.suite.cell import Cell


def estimated_work(cell: Cell, registry: Registry = BUILT_IN) -> float:
    """An estimate of how long a cell takes, in units that only compare cells: samples times parameters."""
    resolved = ResolvedCell(cell.config, registry)
    samples = float(resolved.budget_steps * cell.config.workers * cell.config.batch_size)
    return samples * resolved.num_parameters


def batch_cells(cells: Sequence[Cell], cells_per_batch: int, registry: Registry = BUILT_IN) -> list[list[Cell]]:
    """Group cells whose workers can be rows of one matrix.

    Args:
        cells: of one suite.
        cells_per_batch: cells in a group, at most.
        registry: the components that the cells name.

    Returns:
        Groups with equal `batch_key`, the one with the most work first, so that no long cell is left for the end.
    """
    by_key: dict[str, list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(batch_key(cell.config), []).append(cell)
    groups = [
        group[start : start + cells_per_batch]
        for group in by_key.values()
        for start in range(0, len(group), cells_per_batch)
    ]
    return sorted(groups, key=lambda group: sum(estimated_work(cell, registry) for cell in group), reverse=True)
