"""The content of `cell.json`: how a cell was run, and how it ended.

`fdabench.experiment` writes a record when a cell starts, and again when it ends. The names of the fields are the keys
of the file, in its order. A key that has no value yet has its default and is not written.
"""

from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from fdabench.cell_config import CellConfig, ConfigTable, Scalar

OWN_LOOP = "own-loop"
"""The engine of a real run: a user's training loop with `fdabench.sync`, in which each process is one worker."""
SUCCESS_STATES = ("done", "target_reached", "diverged")
FAILURE_STATES = ("failed", "oom", "lost")
NO_RETRY_STATES = ("failed", "oom")
"""Failures that would occur again. A cell that is `lost`, because its process died, may succeed when it is retried."""
PENDING_STATES = ("interrupted", "pending")

_State = Literal["done", "target_reached", "diverged", "failed", "oom", "lost", "interrupted", "pending"]


class RunProcess(ConfigTable):
    """The process that computes a cell, or that computed it last."""

    host: str
    pid: int


class ComputeEnvironment(NamedTuple):
    """What the last bits of a cell's numbers depend on besides its configuration and its code.

    Args:
        environment: versions, device, instruction set and threads.
        engine: how the workers are computed; `unknown` if a process died before it wrote the engine.
        together: the number of cells whose workers were rows of one matrix.
    """

    environment: dict[str, Scalar]
    engine: str
    together: int = 1


class CellRecord(ConfigTable):
    """The record of one cell.

    Args:
        state: `interrupted` from the start of the cell, so that it is correct if the process dies.
        attempts: how often the cell was started.
        resumed_at_step: the step of the checkpoint that this attempt resumed from; 0 without one.
        started, ended: UTC, in ISO 8601 format.
        resolved: numbers computed from the configuration, such as `num_parameters` and `theta`.
        seeds: by kind of draw.
        code: hashes of the files that determine the numbers, by name.
        environment: versions, device, instruction set and threads.
        engine, processes, mean: how the workers were distributed and averaged.
        together: the number of cells whose workers were rows of one matrix.
        steps: local steps made by each worker.
        wall_s: seconds of training and evaluation.
        error: the traceback of a failure.
        plugin: the file and line of the plug-in that raised the error.
        remarks: problems that did not end the cell.

    Raises:
        ValueError: the record of a cell with a result has no `steps` or no `wall_s`.
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
        """Whether the cell ended with numbers, which are in its tables."""
        return self.state in SUCCESS_STATES

    @property
    def compute_environment(self) -> ComputeEnvironment:
        return ComputeEnvironment(self.environment, self.engine, self.together)
