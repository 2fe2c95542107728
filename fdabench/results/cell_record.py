"""What `cell.json` holds: how a cell was run, and how that ended.

`fdabench.experiment` writes a record when a cell starts, and again when it ends. The names of the fields are the keys
of the file, in its order. A key that a cell does not have yet has its default, and is not written.
"""

from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from fdabench.cell_config import CellConfig, ConfigTable, Scalar

SUCCESS_STATES = ("done", "target_reached", "diverged")
FAILURE_STATES = ("failed", "oom", "lost")
NO_RETRY_STATES = ("failed", "oom")
"""Failures that would come again; who is `lost` may have had bad luck."""
PENDING_STATES = ("interrupted", "pending")

_State = Literal["done", "target_reached", "diverged", "failed", "oom", "lost", "interrupted", "pending"]


class RunProcess(ConfigTable):
    """The process that computes a cell, or did last."""

    host: str
    pid: int


class ComputeEnvironment(NamedTuple):
    """What the last bits of a cell depend on besides its configuration and its code.

    Args:
        environment: versions, device, instructions and threads.
        engine: how the workers are computed; `unknown` where a process died before it wrote that.
        together: cells whose workers were rows of one matrix.
    """

    environment: dict[str, Scalar]
    engine: str
    together: int = 1


class CellRecord(ConfigTable):
    """The record of one cell.

    Args:
        state: `interrupted` from the start, which stays true if the process dies.
        attempts: how often the cell was started.
        resumed_at_step: the step of the checkpoint that this attempt resumed from; 0 without one.
        started, ended: in UTC, as ISO 8601 has it.
        resolved: numbers that the configuration came to, such as `num_parameters` and `theta`.
        seeds: by kind of draw.
        code: hashes of the files that decide the numbers, by name.
        environment: versions, device, instructions and threads.
        engine, processes, mean: how the workers were distributed and averaged.
        together: cells whose workers were rows of one matrix.
        steps: local steps made by each worker.
        wall_s: seconds of training and evaluation.
        error: the traceback of a failure.
        plugin: the file and line of the plug-in that raised it.
        remarks: problems that did not end the cell.

    Raises:
        ValueError: a cell with a result has no `steps` or no `wall_s`.
    """

    id: str
    state: _State
    label: str = ""
    attempts: int
    resumed_at_step: int = 0
    started: str = ""
    process: RunProcess | None = None
    config: CellConfig
    resolved: dict[str, int | float] = Field(default={})
    seeds: dict[str, int] = Field(default={})
    code: dict[str, str] = Field(default={})
    environment: dict[str, Scalar] = Field(default={})
    engine: str = "unknown"
    processes: int = 1
    mean: str = "ordered"
    together: int = 1
    steps: int = 0
    wall_s: float = 0.0
    error: str = ""
    plugin: str = ""
    remarks: list[str] = Field(default=[])
    ended: str = ""

    @model_validator(mode="after")
    def _has_its_result(self) -> Self:
        for key in ("steps", "wall_s"):
            if self.has_result and key not in self.model_fields_set:
                raise ValueError(f"{key} is missing, though the state is {self.state}")
        return self

    @property
    def has_result(self) -> bool:
        """Whether the cell has ended with numbers, which its tables hold."""
        return self.state in SUCCESS_STATES

    @property
    def compute_environment(self) -> ComputeEnvironment:
        return ComputeEnvironment(self.environment, self.engine, self.together)
