"""The tables of a suite file. Workloads and strategies are checked one variant at a time, after lists are crossed."""

from functools import cache
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, ValidationInfo, create_model, field_validator, model_validator

from fdabench.accounting.costs import CONVENTIONS
from fdabench.engine.precision import Precision
from fdabench.engine.sampling import LastBatch
from fdabench.engine.workers import BatchStatistics
from fdabench.hyperparameters import NAME
from fdabench.registry.registry import Registry
from fdabench.suite.component_tables import (
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

# the most that a reader of the tables can hold exactly
MAX_SEED = 2**53
MAX_LIST_ENTRIES = 1000
"""Of a list that is told again for each cell."""
Count = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Positive = Annotated[float, Field(gt=0, le=MAX_EPOCHS)]
Fraction01 = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Raw = dict[str, Any]


class Budget(TomlTable):
    """What every strategy may spend: local steps per worker, or nominal epochs."""

    steps: Count | None = None
    epochs: Positive | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        require_one_of(self, "steps", "epochs")
        return self


class Validation(TomlTable):
    """Training samples that are held out: no worker learns from them, and the suite's models are evaluated on them."""

    share: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0


class Eval(TomlTable):
    """When a model is evaluated, which one, on what, and what counts as reaching a target.

    `model` is one rule for all methods of a suite. "virtual-mean": what a sync at this step would make, computed and
    not paid for: the server's step on the mean of the workers' current models. "synced": the global model that the
    last sync made, this step's included, and paid for. "paper": the mean of the workers' models, unpaid, but with a
    server optimizer the global model, paid for; a rule for replications, because it favors plain averaging.
    """

    every_steps: Count | None = None
    every_epochs: Positive | None = None
    targets: Annotated[list[Fraction01], Field(max_length=MAX_LIST_ENTRIES)] = []
    headline: Fraction01 | None = None
    consecutive: Count = 1
    comparison: Literal[">=", ">"] = ">="
    stop_at_last_target: bool = False
    model: Literal["virtual-mean", "synced", "paper"] = "virtual-mean"
    validation: Validation | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_one_of(self, "every_steps", "every_epochs")
        if self.stop_at_last_target and not self.targets:
            raise ValueError("stop_at_last_target needs targets")
        return self

    @field_validator("headline")
    @classmethod
    def _one_of_the_targets(cls, headline: float | None, so_far: ValidationInfo) -> float | None:
        """Targets that are wrong themselves are told on their own."""
        targets = so_far.data.get("targets")
        if headline is not None and targets is not None and headline not in targets:
            known = ", ".join(f"{target:g}" for target in targets) or "there are none"
            raise ValueError(f"{headline:g} is not among eval.targets ({known})")
        return headline


class Accounting(TomlTable):
    """Which cost is read from the ledger."""

    convention: Literal[tuple(CONVENTIONS)] = "paper"  # type: ignore[valid-type]


class CustomNetwork(TomlTable):
    """A network on which reports tell the time to accuracy."""

    name: Name
    bandwidth_mbps: Annotated[float, Field(gt=0, le=1e9)]
    latency_ms: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    shared: bool = False


class Suite(TomlTable):
    """A suite file; a list in a workload or a strategy is crossed with the others."""

    name: Name
    description: str = ""
    tuning: str = ""
    plugins: list[str] = []
    seeds: Annotated[list[Annotated[int, Field(ge=0, le=MAX_SEED)]], Field(min_length=1)] = [0]
    budget: Budget
    eval: Eval
    accounting: Accounting = Accounting()
    network: Annotated[list[CustomNetwork], Field(max_length=MAX_LIST_ENTRIES)] = []
    workload: Annotated[list[Raw], Field(min_length=1)]
    strategy: Annotated[list[Raw], Field(min_length=1)]
    exclude: list[Raw] = []
    gate: GateSettings = GateSettings()

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        for i, limit in enumerate(self.gate.limit):
            if limit.target is not None and limit.target not in self.eval.targets:
                known = ", ".join(f"{target:g}" for target in self.eval.targets) or "there are none"
                raise ValueError(f"gate.limit.{i}.target: {limit.target:g} is not among eval.targets ({known})")
        return self


class Workload(TomlTable):
    """What is learned, by how many workers, from which share of the data. What may be named: see `workload_table`."""

    dataset: str
    model: str
    workers: Count
    batch_size: Count
    optimizer: Any
    partition: Any = Field(default={"kind": "iid"}, validate_default=True)
    sampling: Literal["shuffle", "replacement"] = "shuffle"
    last_batch: LastBatch = "wrap"
    averaging: Literal["uniform", "samples"] = "uniform"
    precision: Precision = "fp32"
    batchnorm_stats: BatchStatistics = "local"


@cache
def workload_table(registry: Registry) -> type[Workload]:
    """A workload's table, where this may be named."""
    keys: dict[str, Any] = {
        "dataset": (Literal[tuple(registry.datasets)], ...),
        "model": (Literal[tuple(registry.models)], ...),
        "optimizer": (component_choice(registry.optimizers, registry), ...),
        "partition": (
            component_choice(registry.partitions, registry),
            Field(default={"kind": "iid"}, validate_default=True),
        ),
    }
    about = "What is learned, by how many workers, from which share of the data."
    return create_model("Workload", __base__=Workload, __doc__=about, **keys)


class StrategyOptions(ComponentTable):
    """What every strategy's table may have besides the strategy's own fields."""

    name: str | None = None
    reference: bool = False
    optimizer: Any | None = None


STRATEGY_OPTIONS = ("name", "reference", "optimizer")


@cache
def strategy_table(kind: str, registry: Registry) -> type[ComponentTable]:
    """The table of one kind of strategy, options included."""
    own = make_component_table(kind, registry.strategies[kind], registry)
    optimizer = (component_choice(registry.optimizers, registry) | None, None)
    made = create_model(own.__name__, __base__=(own, StrategyOptions), __doc__=own.__doc__, optimizer=optimizer)
    return cast(type[ComponentTable], made)


class Exclude(CellFilter):
    """Cells to leave out: those that match every key."""
