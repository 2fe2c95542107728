"""Pydantic models of the tables of a suite file.

`Suite` leaves the entries of `workload`, `strategy` and `exclude` unvalidated, because they may contain lists.
`suite.grid` expands the lists and validates each variant with `workload_table`, `strategy_table` and `Exclude`.
"""

from functools import cache
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, Field, ValidationInfo, create_model, field_validator, model_validator
from pydantic_core import PydanticKnownError

from fdabench.accounting.costs import CONVENTIONS
from fdabench.cell_config import MetricName
from fdabench.core.schedule import parse_speeds
from fdabench.engine.precision import Precision
from fdabench.engine.sampling import LastBatch
from fdabench.engine.workers import BatchStatistics
from fdabench.hyperparameters import NAME
from fdabench.metrics import METRICS
from fdabench.registry.registry import Registry
from fdabench.results.suite_lock import FleetTable, TraceTable
from fdabench.shared_types import ParsedTable
from fdabench.suite.components.tables import (
    MAX_EPOCHS,
    MAX_STEPS,
    ComponentTable,
    TomlTable,
    component_choice,
    make_component_table,
    require_one_of,
)
from fdabench.suite.gate_settings import GateSettings
from fdabench.suite.matching import CellFilter

# float64 represents every integer up to here, so programs that read the tables get the exact seed
MAX_SEED = 2**53
MAX_LIST_ENTRIES = 1000
"""Entries of a list whose length multiplies the rows of the tables of results, such as the targets; at most."""
StepCount = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Positive = Annotated[float, Field(gt=0, le=MAX_EPOCHS)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


def _check_target(target: float, so_far: ValidationInfo) -> float:
    """Check a target against the range of the metric; skipped if the metric is invalid itself."""
    metric = METRICS.get(so_far.data.get("metric", ""))
    if metric is not None and not target > metric.lowest:
        raise PydanticKnownError("greater_than", {"gt": metric.lowest})
    if metric is not None and target > metric.highest:
        raise PydanticKnownError("less_than_equal", {"le": metric.highest})
    return target


Target = Annotated[float, AfterValidator(_check_target)]
"""A value of the suite's metric: an accuracy in 0..1, a loss above 0, a perplexity above 1."""


class Budget(TomlTable):
    """The length of every run: local steps of each worker, or nominal epochs."""

    steps: StepCount | None = None
    epochs: Positive | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        require_one_of(self, "steps", "epochs")
        return self


class Validation(TomlTable):
    """A validation split: training samples on which models are evaluated and on which no worker trains."""

    share: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0


class Eval(TomlTable):
    """When a model is evaluated, which model, on which samples, by which metric, and when a target counts as reached.

    The rule `model` is the same for all strategies of a suite:

    - "virtual-mean": the global model that a sync at this step would create, from the server's update with the mean
      of the workers' current models. Its bytes are not counted.
    - "synced": the global model of the last sync, including one at this step. Its bytes were counted at the sync.
    - "paper": the rule of the FDA paper, for replications. It is the mean of the workers' models, whose bytes are not
      counted; with a server optimizer it is the global model of the last sync. It favors plain averaging.
    """

    every_steps: StepCount | None = None
    every_epochs: Positive | None = None
    metric: MetricName = "accuracy"
    targets: Annotated[list[Target], Field(max_length=MAX_LIST_ENTRIES)] = []
    headline: Target | None = None
    consecutive: StepCount = 1
    comparison: Literal[">=", ">"] = ">="
    stop_at_last_target: bool = False
    model: Literal["virtual-mean", "synced", "paper"] = "virtual-mean"
    validation: Validation | None = None
    samples: StepCount | None = None
    worst_decile: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_one_of(self, "every_steps", "every_epochs")
        if self.samples is not None and self.validation is not None:
            raise ValueError("samples is a part of the test set, which validation replaces: use one of the two")
        if self.stop_at_last_target and not self.targets:
            raise ValueError("stop_at_last_target needs targets")
        return self

    @field_validator("headline")
    @classmethod
    def _one_of_the_targets(cls, headline: float | None, so_far: ValidationInfo) -> float | None:
        """Check that the headline is one of the targets; skipped if the targets are invalid themselves."""
        targets = so_far.data.get("targets")
        if headline is not None and targets is not None and headline not in targets:
            allowed = ", ".join(f"{target:g}" for target in targets) or "there are none"
            raise ValueError(f"{headline:g} is not among eval.targets ({allowed})")
        return headline


class Accounting(TomlTable):
    """The convention by which bytes are computed from the ledger."""

    convention: Literal[tuple(CONVENTIONS)] = "paper"  # type: ignore[valid-type]


class CustomNetwork(TomlTable):
    """A network for which reports compute the time to accuracy."""

    name: Name
    bandwidth_mbps: Annotated[float, Field(gt=0, le=1e9)]
    latency_ms: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    shared: bool = False


class Suite(TomlTable):
    """A suite file. Lists in workloads and strategies are expanded to all combinations of their entries."""

    name: Name
    description: str = ""
    tuning: str = ""
    plugins: list[str] = []
    seeds: Annotated[list[Annotated[int, Field(ge=0, le=MAX_SEED)]], Field(min_length=1)] = [0]
    budget: Budget
    eval: Eval
    accounting: Accounting = Accounting()
    network: Annotated[list[CustomNetwork], Field(max_length=MAX_LIST_ENTRIES)] = []
    fleet: Annotated[list[FleetTable], Field(max_length=MAX_LIST_ENTRIES)] = []
    workload: Annotated[list[ParsedTable], Field(min_length=1)]
    strategy: Annotated[list[ParsedTable], Field(min_length=1)]
    exclude: list[ParsedTable] = []
    gate: GateSettings = GateSettings()

    @field_validator("fleet")
    @classmethod
    def _fleets_are_complete(cls, fleets: list[FleetTable]) -> list[FleetTable]:
        names = [fleet.name for fleet in fleets]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"two fleets have the name {twice[0]}; give each its own")
        for fleet in fleets:
            if isinstance(fleet.step, TraceTable):
                # results may be moved, and the file of the trace would stay behind
                raise ValueError(
                    f"fleet {fleet.name}: a suite cannot have a trace; put the fleet into a file of its own and give "
                    "that to report: fdabench report RESULTS --fleet FILE"
                )
        return fleets

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        for i, limit in enumerate(self.gate.limit):
            if limit.target is not None and limit.target not in self.eval.targets:
                allowed = ", ".join(f"{target:g}" for target in self.eval.targets) or "there are none"
                raise ValueError(f"gate.limit.{i}.target: {limit.target:g} is not among eval.targets ({allowed})")
        return self


class Availability(TomlTable):
    """When clients are available: for a share of each period of so many rounds, or in the intervals of a trace."""

    share: Annotated[float, Field(gt=0, le=1)] | None = None
    period: StepCount
    trace: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.share is None) == (self.trace is None):
            count = "neither is given" if self.share is None else "both are given"
            raise ValueError(f"share or trace says when clients are available; {count}")
        return self


class Participation(TomlTable):
    """Clients that take turns: in each round `workers` of them train."""

    clients: StepCount
    choose: Literal["uniform", "samples"] = "uniform"
    client_state: Literal["kept", "fresh"] = "kept"
    availability: Availability | None = None


class MessageLoss(TomlTable):
    """Messages into syncs that are lost, independently for each worker and local step."""

    probability: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
    quorum: StepCount = 1


class Speeds(TomlTable):
    """Slow workers: a worker of speed 0.5 makes a local step in every second tick. The others do not wait."""

    values: str | None = None
    lowest: Annotated[float, Field(gt=0, le=1)] | None = None
    sigma: Annotated[float, Field(ge=0, le=10)] | None = None

    @field_validator("values")
    @classmethod
    def _are_speeds(cls, values: str | None) -> str | None:
        if values is not None:
            parse_speeds(values)
        return values

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        keys = [key for key in Speeds.model_fields if getattr(self, key) is not None]
        if len(keys) != 1:
            count = " and ".join(keys) + " are given" if keys else "none is given"
            raise ValueError(f"one of values, lowest and sigma says what the speeds are; {count}")
        return self


class Workload(TomlTable):
    """All settings of a cell except the strategy and the seed.

    `workload_table` creates the subclass that restricts names of components to those of a registry.
    """

    dataset: str
    model: str
    workers: StepCount
    batch_size: StepCount
    optimizer: Any
    partition: Any = Field(default={"kind": "iid"}, validate_default=True)
    sampling: Literal["shuffle", "replacement"] = "shuffle"
    last_batch: LastBatch = "wrap"
    averaging: Literal["uniform", "samples", "steps"] = "uniform"
    precision: Precision = "fp32"
    batchnorm_stats: BatchStatistics = "local"
    participation: Participation | None = None
    message_loss: MessageLoss | None = None
    speeds: Speeds | None = None

    @model_validator(mode="after")
    def _quorum_is_possible(self) -> Self:
        if self.message_loss is not None and self.message_loss.quorum > self.workers:
            raise ValueError(
                f"message_loss.quorum: {self.message_loss.quorum} messages, but only workers = {self.workers} send "
                "them; use at most that many"
            )
        return self

    @model_validator(mode="after")
    def _speeds_fit(self) -> Self:
        if self.averaging == "steps" and self.speeds is None:
            raise ValueError(
                'averaging = "steps" needs speeds: without slow workers all make equally many steps; add speeds, or '
                'use averaging = "uniform"'
            )
        return self

    @model_validator(mode="after")
    def _clients_suffice(self) -> Self:
        table = self.participation
        if table is not None and table.clients < self.workers:
            raise ValueError(
                f"participation: {table.clients} clients, but workers = {self.workers} of them train in each round"
            )
        law = None if table is None else table.availability
        share = None if law is None else law.share
        if table is not None and share is not None and share * table.clients < self.workers:
            raise ValueError(
                f"participation.availability: {share:g} of {table.clients} clients are available, and workers = "
                f"{self.workers} of them train in each round; take more clients, a higher share or fewer workers"
            )
        if table is not None and self.averaging == "samples":
            raise ValueError(
                'averaging = "samples" does not go with participation, whose participants have equal weights; '
                'participation.choose = "samples" draws clients in proportion to their samples'
            )
        return self


@cache
def workload_table(registry: Registry) -> type[Workload]:
    """Create the pydantic model of a workload whose components must be in the registry."""
    keys: dict[str, Any] = {
        "dataset": (Literal[tuple(registry.datasets)], ...),
        "model": (Literal[tuple(registry.models)], ...),
        "optimizer": (component_choice(registry.optimizers, registry), ...),
        "partition": (
            component_choice(registry.partitions, registry),
            Field(default={"kind": "iid"}, validate_default=True),
        ),
    }
    description = "What is learned, by how many workers, from which share of the data."
    return create_model("Workload", __base__=Workload, __doc__=description, **keys)


class StrategyOptions(ComponentTable):
    """The keys that the table of every strategy has in addition to the fields of the strategy."""

    name: str | None = None
    reference: bool = False
    optimizer: Any | None = None


STRATEGY_OPTIONS = ("name", "reference", "optimizer")


@cache
def strategy_table(kind: str, registry: Registry) -> type[ComponentTable]:
    """Create the pydantic model of the table of one kind of strategy, including the keys of `StrategyOptions`."""
    own = make_component_table(kind, registry.strategies[kind], registry)
    optimizer = (component_choice(registry.optimizers, registry) | None, None)
    made = create_model(own.__name__, __base__=(own, StrategyOptions), __doc__=own.__doc__, optimizer=optimizer)
    return cast(type[ComponentTable], made)


class Exclude(CellFilter):
    """Removes the cells that match every key from the grid."""
