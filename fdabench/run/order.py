"""Which cells run first, and which together."""

from collections.abc import Sequence

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.run.setting import budget_of, matrix_of, scale_of
from fdabench.suite.cell import Cell


def work(cell: Cell, catalogue: Catalogue = BUILT_IN) -> float:
    """How long a cell takes, for the order only: numbers that pass through the model's weights."""
    config = cell.config
    samples = float(budget_of(config, catalogue) * config["workers"] * config["batch_size"])
    return samples * scale_of(config, catalogue).num_parameters


def grouped(cells: Sequence[Cell], together: int, catalogue: Catalogue = BUILT_IN) -> list[list[Cell]]:
    """Cells that can share a matrix, at most `together` to a group; the longest group first."""
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(matrix_of(cell.config), []).append(cell)
    groups = [mine[at : at + together] for mine in alike.values() for at in range(0, len(mine), together)]
    return sorted(groups, key=lambda group: sum(work(cell, catalogue) for cell in group), reverse=True)
