"""The configuration of a cell: every choice that its numbers depend on, typed from the suite to the record.

`fdabench.suite` makes one `CellConfig` for each point of a suite's grid, `fdabench.experiment` trains by it, and
`suite.lock.toml` and `cell.json` hold it as a table. This module imports no torch. A suite's reader checks names and
bounds before it makes a configuration; here only the types are checked.

A configuration becomes a plain table and back without a change, so the id of a cell, which is a hash of that table, is
the same wherever it is computed:

>>> table = {"kind": "fda", "theta": 0.5, "monitor": {"kind": "sketch", "depth": 5}}
>>> strategy = ComponentConfig.from_table(table)
>>> strategy.component("monitor").kind
'sketch'
>>> strategy.to_table() == table
True
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, InstanceOf, PlainSerializer, ValidationError

Scalar: TypeAlias = bool | int | float | str
TableValue: TypeAlias = "Scalar | Mapping[str, TableValue]"
SettingsTable: TypeAlias = Mapping[str, TableValue]
"""The settings of a component or a cell, with a table for each component in it."""
FlatSettings: TypeAlias = Mapping[str, Scalar]
"""Settings with dotted keys, such as `optimizer.lr`, in place of nested tables."""
MetricName: TypeAlias = Literal["accuracy", "loss", "bits_per_byte", "perplexity"]
"""The keys of `metrics.METRICS`, which is not imported, so that reading a lock does not import pandas."""


@dataclass(frozen=True)
class ScaledThreshold:
    """A threshold that is a multiple of the number of model parameters."""

    per_parameter: float


@dataclass(frozen=True)
class ComponentConfig:
    """A strategy, monitor, server, optimizer or partition: its kind and the values of its fields.

    Args:
        kind: the name in the registry of its role, such as `fda` or `adam`.
        parameters: by name of the key in the suite, in the order in which they were written.
    """

    kind: str
    parameters: "Mapping[str, Scalar | ScaledThreshold | ComponentConfig]" = field(default_factory=dict)

    @classmethod
    def from_table(cls, table: object) -> "ComponentConfig":
        """Read a table with a `kind`; a table within it that has a kind as well is a component of its own.

        Raises:
            ValueError: the table is none that `to_table` writes.
        """
        if isinstance(table, ComponentConfig):
            return table
        if not isinstance(table, Mapping) or not isinstance(table.get("kind"), str):
            raise ValueError(f"expected a table with a kind, found {table!r:.60}")
        return cls(table["kind"], {str(key): _parameter(value) for key, value in table.items() if key != "kind"})

    def to_table(self) -> dict[str, TableValue]:
        """The table that `from_table` reads, its kind first."""
        return {"kind": self.kind, **{key: _plain(value) for key, value in self.parameters.items()}}

    @property
    def components(self) -> "dict[str, ComponentConfig]":
        """The parameters that hold a component, such as the monitor and the server of FDA."""
        return {key: value for key, value in self.parameters.items() if isinstance(value, ComponentConfig)}

    def component(self, name: str) -> "ComponentConfig | None":
        """The component that a parameter holds, such as the monitor of FDA; None if there is none of that name."""
        return self.components.get(name)


def _parameter(value: object) -> Scalar | ScaledThreshold | ComponentConfig:
    if isinstance(value, bool | int | float | str | ScaledThreshold | ComponentConfig):
        return value
    if isinstance(value, Mapping) and value.keys() == {"per_parameter"}:
        return ScaledThreshold(value["per_parameter"])
    return ComponentConfig.from_table(value)


def _plain(value: Scalar | ScaledThreshold | ComponentConfig) -> TableValue:
    if isinstance(value, ComponentConfig):
        return value.to_table()
    return {"per_parameter": value.per_parameter} if isinstance(value, ScaledThreshold) else value


Component = Annotated[
    InstanceOf[ComponentConfig],
    BeforeValidator(ComponentConfig.from_table),
    PlainSerializer(lambda component: component.to_table()),
]
"""A field of a model that holds a component and is a table in files."""


class ConfigTable(BaseModel):
    """A table of a file: exact types, no unknown keys, no changes after it was made.

    Subclasses are the configuration of a cell, its record (`results.cell_record`) and the frozen suite
    (`results.suite_lock`). Their fields are the keys of the file, in the order in which the file has them.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def to_dict(self) -> dict[str, Any]:
        """The table that files hold: the keys that were given, in the order of the fields."""
        return self.model_dump(exclude_unset=True, exclude_none=True)

    @classmethod
    def from_table(cls, table: object) -> Self:
        """The inverse of `to_dict`. Tables that are models already are not checked again.

        Raises:
            ValueError: `table` is none that `to_dict` writes; the message names the first key that does not fit.
        """
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            raise ValueError(_first_fault(error)) from error

    def with_changes(self, changes: Mapping[str, object]) -> Self:
        """A copy with other values of these keys, checked as any other.

        Args:
            changes: by key; a table takes the place of the whole table before.

        Raises:
            ValueError: a value is of another type, or a key is unknown.
        """
        return self.from_table({**{key: getattr(self, key) for key in self.model_fields_set}, **changes})


class BudgetConfig(ConfigTable):
    """The most that each worker may compute: local steps or nominal epochs, of which one is given."""

    steps: int | None = None
    epochs: float | None = None


class ValidationConfig(ConfigTable):
    """The fraction of the training set that is held out for evaluations, and the seed of its draw."""

    share: float
    seed: int = 0


class EvalConfig(ConfigTable):
    """When the model is evaluated, which model that is, on which samples, and when the cell stops.

    `every_steps` or `every_epochs` is given. Without `stop_at` the cell runs to the end of its budget; with it,
    `consecutive` evaluations in a row have to reach that value of `metric`, and `comparison` says whether equality
    counts. `samples` is the size of the subset of the test set that models are evaluated on; None for all of it.
    `worst_decile` adds the accuracy or the loss of the worst tenth of owners to the results.
    """

    every_steps: int | None = None
    every_epochs: float | None = None
    model: Literal["virtual-mean", "synced", "paper"] = "virtual-mean"
    validation: ValidationConfig | None = None
    stop_at: float | None = None
    consecutive: int = 1
    comparison: Literal[">=", ">"] = ">="
    metric: MetricName = "accuracy"
    samples: int | None = None
    worst_decile: bool = False


class AvailabilityConfig(ConfigTable):
    """When clients are available, in periods whose length is given in rounds.

    Either each client is available for a `share` of each period, or in the intervals of a `trace`, whose name ends in
    a hash of them.
    """

    share: float | None = None
    period: int
    trace: str | None = None


class ParticipationConfig(ConfigTable):
    """The clients of which `workers` train in each round, how they are drawn, and what stays with the others."""

    clients: int
    choose: Literal["uniform", "samples"] = "uniform"
    client_state: Literal["kept", "fresh"] = "kept"
    availability: AvailabilityConfig | None = None


class MessageLossConfig(ConfigTable):
    """The probability that what a worker sends into a sync is lost, and the messages that a sync needs."""

    probability: float
    quorum: int = 1


class SpeedsConfig(ConfigTable):
    """The speeds of slow workers, of which one is given: their `values` as numbers in a text, repeated over the
    workers; the `lowest` of a uniform law up to 1; or the `sigma` of a lognormal law, divided by the highest speed."""

    values: str | None = None
    lowest: float | None = None
    sigma: float | None = None


class CellConfig(ConfigTable):
    """Everything that decides the numbers of a cell. `docs/suites.md` explains each key."""

    dataset: str
    model: str
    workers: int
    batch_size: int
    optimizer: Component
    partition: Component
    sampling: Literal["shuffle", "replacement"] = "shuffle"
    last_batch: Literal["wrap", "drop", "keep"] = "wrap"
    averaging: Literal["uniform", "samples", "steps"] = "uniform"
    precision: Literal["fp32", "bf16", "tf32"] = "fp32"
    batchnorm_stats: Literal["local", "averaged"] = "local"
    participation: ParticipationConfig | None = None
    message_loss: MessageLossConfig | None = None
    speeds: SpeedsConfig | None = None
    strategy: Component
    budget: BudgetConfig
    eval: EvalConfig
    seed: int

    def to_dict(self) -> dict[str, TableValue]:
        """The table that files hold: the keys that were given, in the order of the fields above.

        A key that was left out, as by a version of fdabench that did not have it, stays left out: it would change the
        id of the cell.
        """
        return self.model_dump(exclude_unset=True, exclude_none=True)

    @property
    def clients(self) -> int:
        """The number of parts that the training set is divided into: one for each client, or for each worker."""
        return self.workers if self.participation is None else self.participation.clients

    def canonical_json(self) -> str:
        """The text that the id of a cell is a hash of."""
        return canonical_json(self.to_dict())


def _first_fault(error: ValidationError) -> str:
    """The first value that does not fit, and where it is: `eval.every_steps: fdabench writes no 'x' there`."""
    (fault, *_) = error.errors(include_url=False)
    key = ".".join(str(step) for step in fault["loc"] if step not in _TYPE_NAMES)[:_MOST_LETTERS] or "the table"
    match fault["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{key}: unknown key"
        case "literal_error":
            return f"{key}: {fault['input']!r:.60} is none of {fault['ctx']['expected']}"
        case "value_error" if key == "the table":
            return str(fault["ctx"]["error"])
        case "value_error":
            return f"{key}: {fault['ctx']['error']}"
    return f"{key}: fdabench writes no {fault['input']!r:.60} there"


_TYPE_NAMES = ("bool", "int", "float", "str")
"""pydantic adds them to the key of a value that may be of several types."""
_MOST_LETTERS = 120
"""Of a key, which in a damaged file may be any text."""


def canonical_json(table: Mapping[str, TableValue]) -> str:
    """JSON with sorted keys, without spaces, in ASCII: equal tables have equal texts."""
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
