"""Reads and validates the margins and limits of the gate from the frozen suite."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fdabench.errors import NotComparedError
from fdabench.results.files import read_bytes
from fdabench.results.suite_lock import SuiteLock
from fdabench.validation.messages import STRICT_TABLE, format_issue, line_origins, table_issues
from fdabench.validation.toml_text import key_lines

DEFAULTS: Mapping[str, Any] = {
    "accuracy_margin": 0.005,
    "loss_margin": 0.02,
    "cost_margin": 0.05,
    "soft": 0.0,
    "one_seed_margins": 10.0,
    "limit": [],
}
"""The settings of a suite without a `[gate]`."""

_Share = Annotated[float, Field(ge=0, lt=1)]
_Amount = Annotated[float, Field(gt=0)]


class _LimitTable(BaseModel):
    # The other keys selected the cells when the suite was expanded, and are not used here.
    model_config = ConfigDict(**{**STRICT_TABLE, "extra": "ignore"})

    cells: list[str]
    target: _Amount | None = None
    min_accuracy: _Amount | None = None
    max_loss: _Amount | None = None
    max_bytes: _Amount | None = None
    max_bytes_to_target: _Amount | None = None
    max_steps_to_target: _Amount | None = None


class _GateTable(BaseModel):
    model_config = STRICT_TABLE

    accuracy_margin: _Share = DEFAULTS["accuracy_margin"]
    loss_margin: _Amount = DEFAULTS["loss_margin"]
    cost_margin: _Share = DEFAULTS["cost_margin"]
    soft: _Share = DEFAULTS["soft"]
    one_seed_margins: Annotated[float, Field(ge=1)] = DEFAULTS["one_seed_margins"]
    limit: list[_LimitTable] = []


class _Lock(BaseModel):
    """The part of the frozen suite that is validated here."""

    gate: _GateTable = _GateTable()


def read_gate_settings(lock: SuiteLock, path: Path) -> dict[str, Any]:
    """Return the frozen suite's `[gate]`, which users may have edited, with defaults for missing keys.

    Args:
        lock: the frozen suite.
        path: its file, for messages.

    Raises:
        NotComparedError: a value is invalid. `fdabench run` writes the file again after it was removed.
    """
    try:
        _Lock.model_validate({"gate": lock.gate})
    except ValidationError as error:
        origins = line_origins(path.as_posix(), key_lines(read_bytes(path).decode("utf-8-sig")))
        found = [format_issue(issue, origins) for issue in table_issues(error, _Lock)]
        first = f"{path}: not as fdabench wrote it; `run` writes it anew when it is gone"
        raise NotComparedError("\n".join([first, *found])) from error
    return {**DEFAULTS, **(lock.gate if isinstance(lock.gate, dict) else {})}
