"""Formats the budgets of cells, for captions, caveats and the table of settings."""

from collections.abc import Sequence

from fdabench.cell_config import BudgetConfig, CellConfig
from fdabench.formatting import format_count


def describe_budget(configs: Sequence[CellConfig]) -> str:
    """Return the budget of the cells, such as `600 steps for all`, or a list of their different budgets.

    >>> cell = CellConfig.model_construct(budget=BudgetConfig(steps=600))
    >>> describe_budget([cell, cell])
    '600 steps for all'
    """
    budgets = distinct_budgets(configs)
    return f"{budgets[0]} for all" if len(budgets) == 1 else f"budgets differ: {', '.join(budgets)}"


def distinct_budgets(configs: Sequence[CellConfig]) -> list[str]:
    """Return the different budgets of cells as text, sorted."""
    return sorted({_format_budget(config.budget) for config in configs})


def _format_budget(budget: BudgetConfig) -> str:
    """The budget as text. Two limits are joined by `or`, because the one that comes first ends the cell."""
    limits = [f"{format_count(budget.steps)} steps"] if budget.steps is not None else []
    limits += [f"{budget.epochs:g} epochs"] if budget.epochs is not None else []
    return " or ".join(limits)
