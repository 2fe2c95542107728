"""The table `[gate]` of a suite: the margins and limits that `fdabench check` applies.

The lock file contains it. It affects no result, so it is not part of the configuration or the id of a cell.
"""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from fdabench.suite.cell import Cell
from fdabench.suite.components.tables import TomlTable
from fdabench.suite.matching import CellFilter, cell_matches

_Share = Annotated[float, Field(ge=0, lt=1)]
_Fraction = Annotated[float, Field(gt=0, le=1)]
_Amount = Annotated[float, Field(gt=0)]
_LIMITS = (
    "min_accuracy",
    "max_loss",
    "max_bits_per_byte",
    "max_perplexity",
    "max_bytes",
    "max_bytes_to_target",
    "max_steps_to_target",
)


class Limit(CellFilter):
    """A limit for every run of the cells that match every key, whatever the baseline says."""

    target: _Amount | None = None
    min_accuracy: _Fraction | None = None
    max_loss: _Amount | None = None
    max_bits_per_byte: _Amount | None = None
    max_perplexity: _Amount | None = None
    max_bytes: _Amount | None = None
    max_bytes_to_target: _Amount | None = None
    max_steps_to_target: _Amount | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if all(getattr(self, key) is None for key in _LIMITS):
            raise ValueError(f"sets no limit; there are {', '.join(_LIMITS)}")
        to_target = self.max_bytes_to_target is not None or self.max_steps_to_target is not None
        if to_target != (self.target is not None):
            raise ValueError("target goes with max_bytes_to_target or max_steps_to_target")
        return self


class GateSettings(TomlTable):
    """The table `[gate]`.

    The margin of each metric is in its unit: a fraction of the test set for accuracies, nats for losses. Margins of
    costs are fractions of the baseline's cost. The gate has a default for each margin that is left out.
    """

    accuracy_margin: _Share = 0.005
    loss_margin: _Amount | None = None
    bits_per_byte_margin: _Amount | None = None
    perplexity_margin: _Amount | None = None
    cost_margin: _Share = 0.05
    soft: _Share = 0.0
    one_seed_margins: Annotated[float, Field(ge=1)] = 10.0
    limit: list[Limit] = Field(default=[])


def gate_to_lock(gate: GateSettings, cells: Sequence[Cell]) -> dict[str, object]:
    """The gate's entry in `suite.lock.toml`, in which each limit has the ids of the cells that it applies to."""
    limits = [{**_values(limit), "cells": [cell.id for cell in _chosen(limit, cells)]} for limit in gate.limit]
    return {**gate.model_dump(exclude={"limit"}, exclude_none=True), "limit": limits}


def unmatched_limits(gate: GateSettings, cells: Sequence[Cell]) -> list[str]:
    """One note for each limit that applies to no cell."""
    return [f"gate.limit.{i}: no cell matches" for i, limit in enumerate(gate.limit) if not _chosen(limit, cells)]


def _values(limit: Limit) -> dict[str, object]:
    return limit.model_dump(include={"target", *_LIMITS}, exclude_none=True)


def _chosen(limit: Limit, cells: Sequence[Cell]) -> list[Cell]:
    keys = limit.model_dump(include=set(CellFilter.model_fields), exclude_none=True)
    return [cell for cell in cells if cell_matches(cell.config, keys)]
