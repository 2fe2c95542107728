"""Which cells run first, and which together."""

from collections.abc import Sequence

from fdabench.experiment.build import batch_key
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.suite.cell import Cell


def estimated_work(cell: Cell, registry: Registry = BUILT_IN) -> float:
    """How long a cell takes, for the order only: numbers that pass through the model's weights."""
    resolved = ResolvedCell(cell.config, registry)
    samples = float(resolved.budget_steps * cell.config.workers * cell.config.batch_size)
    return samples * resolved.num_parameters


def batch_cells(cells: Sequence[Cell], together: int, registry: Registry = BUILT_IN) -> list[list[Cell]]:
    """Cells that can share a matrix, at most `together` to a group; the longest group first."""
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(batch_key(cell.config), []).append(cell)
    groups = [mine[at : at + together] for mine in alike.values() for at in range(0, len(mine), together)]
    return sorted(groups, key=lambda group: sum(estimated_work(cell, registry) for cell in group), reverse=True)
