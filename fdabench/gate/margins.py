"""What a suite lets the gate judge by, as its results hold it: margins and limits."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdabench.errors import NoComparisonError
from fdabench.gate.rules import Rule, is_table, list_of, number, of_table

DEFAULTS: Mapping[str, Any] = {
    "accuracy_margin": 0.005,
    "cost_margin": 0.05,
    "soft": 0.0,
    "one_seed_margins": 10.0,
    "limit": [],
}
"""Of a results folder whose suite says nothing."""


def margins(lock: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The frozen suite's `[gate]`, which people may have edited.

    Args:
        lock: what `path` holds.

    Raises:
        NoComparisonError: nothing can be judged by it.
    """
    gate = lock.get("gate", {})
    found = [*of_table("gate.", gate, _GATE)] if is_table(gate) else ["gate: expected a table"]
    if not found:
        # its other keys are what chose the cells, and say nothing any more
        limits = [{key: limit[key] for key in limit if key in _LIMIT} for limit in gate.get("limit", [])]
        found = [fault for i, limit in enumerate(limits) for fault in of_table(f"gate.limit[{i}].", limit, _LIMIT)]
    if found:
        told = "\n".join([f"{path}: not as fdabench wrote it; `run` writes it anew when it is gone", *found])
        raise NoComparisonError(told)
    return {**DEFAULTS, **gate}


def _positive(value: Any) -> bool:
    return number(value) and 0 < value < math.inf


_SHARE = Rule("a number from 0 to less than 1", lambda value: number(value) and 0 <= value < 1, needed=False)
_AMOUNT = Rule("a number, more than 0", _positive, needed=False)
_GATE = {
    **dict.fromkeys(("accuracy_margin", "cost_margin", "soft"), _SHARE),
    "one_seed_margins": Rule("a number, 1 or more", lambda value: _positive(value) and value >= 1, needed=False),
    "limit": Rule("tables", list_of(is_table), needed=False),
}
_LIMIT = {
    "cells": Rule("a list of ids", list_of(lambda value: isinstance(value, str))),
    **dict.fromkeys(("target", "min_accuracy", "max_bytes", "max_bytes_to_target", "max_steps_to_target"), _AMOUNT),
}
