"""Reads and validates the margins and limits of the gate from the frozen suite."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fdabench.errors import NotComparedError
from fdabench.results.files import read_bytes
from fdabench.results.suite_lock import SuiteLock
from fdabench.validation.messages import STRICT_TABLE, format_issue, line_origins, table_issues
from fdabench.validation.toml_text import key_lines

_Share = Annotated[float, Field(ge=0, lt=1)]
_Amount = Annotated[float, Field(gt=0)]


class LimitConfig(BaseModel):
    """A limit, and the ids of the cells that it applies to. `docs/suites.md` explains each key."""

    # The other keys selected the cells when the suite was expanded. Only messages contain them.
    model_config = ConfigDict(**{**STRICT_TABLE, "extra": "allow", "frozen": True})

    cells: list[str]
    target: _Amount | None = None
    min_accuracy: _Amount | None = None
    max_loss: _Amount | None = None
    max_bits_per_byte: _Amount | None = None
    max_perplexity: _Amount | None = None
    max_bytes: _Amount | None = None
    max_bytes_to_target: _Amount | None = None
    max_steps_to_target: _Amount | None = None

    @model_validator(mode="after")
    def _has_its_target(self) -> Self:
        to_target = self.max_bytes_to_target is not None or self.max_steps_to_target is not None
        if to_target and self.target is None:
            raise ValueError("target is missing: max_bytes_to_target and max_steps_to_target need one")
        return self

    @property
    def settings(self) -> dict[str, object]:
        """The keys that have a value, without the cells; those that selected the cells are first."""
        selected_by = self.model_extra or {}
        return {**selected_by, **self.model_dump(exclude={"cells", *selected_by}, exclude_none=True)}


class GateConfig(BaseModel):
    """The margins and limits of a suite. `docs/suites.md` explains each key."""

    model_config = ConfigDict(**{**STRICT_TABLE, "frozen": True})

    accuracy_margin: _Share = 0.005
    loss_margin: _Amount = 0.02
    bits_per_byte_margin: _Amount = 0.03
    perplexity_margin: _Amount = 0.1
    cost_margin: _Share = 0.05
    soft: _Share = 0.0
    one_seed_margins: Annotated[float, Field(ge=1)] = 10.0
    limit: list[LimitConfig] = []


class _Lock(BaseModel):
    """The part of the frozen suite that is validated here."""

    gate: GateConfig = GateConfig()


def read_gate_settings(lock: SuiteLock, path: Path) -> GateConfig:
    """Return the frozen suite's `[gate]`, which users may have edited, with defaults for missing keys.

    Args:
        lock: the frozen suite.
        path: its file, for messages.

    Raises:
        NotComparedError: a value is invalid. `fdabench run` writes the file again after it was removed.
    """
    try:
        return _Lock.model_validate({"gate": lock.gate}).gate
    except ValidationError as error:
        origins = line_origins(path.as_posix(), key_lines(read_bytes(path).decode("utf-8-sig")))
        issues = [format_issue(issue, origins) for issue in table_issues(error, _Lock)]
        first = f"{path}: [gate] is invalid; delete the file, and `fdabench run` writes a new one"
        raise NotComparedError("\n".join([first, *issues])) from error
