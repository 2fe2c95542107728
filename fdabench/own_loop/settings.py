"""The strategy of a user's loop: the same keys, checks and messages as a `[[strategy]]` table of a suite."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple, cast, get_args

import torch

from fdabench.cell_config import ComponentConfig, SettingsTable, TableValue
from fdabench.core.strategy import HasSyncRule, Strategy
from fdabench.corrections.base import RestrictsOptimizer
from fdabench.distributed.process_group import Reduction
from fdabench.errors import SuiteError, UsageError, did_you_mean
from fdabench.optimizers.base import AtSync, LocalOptimizer
from fdabench.optimizers.sgd import SGD
from fdabench.own_loop.parameters import BufferRule
from fdabench.registry.build_component import CellScale, build_component
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.servers.slowmo import SlowMo
from fdabench.suite.grid import check_strategies
from fdabench.suite.labels import labels
from fdabench.suite.schema import STRATEGY_OPTIONS
from fdabench.triggers.adacomm import AdaComm
from fdabench.triggers.qsr import QSR
from fdabench.validation.messages import format_issue

SOURCE = "fdabench.sync"
UNKNOWN_STEPS = 10**9
"""The budget that strategies see if the loop does not give its number of steps; no strategy that needs it is built."""


class LoopLength(NamedTuple):
    """What is known of the length of a loop before it begins. Some strategies need it."""

    steps: int | None = None
    """Optimizer steps of the loop."""
    steps_per_epoch: int | None = None
    """Optimizer steps of one epoch."""


class LoopStrategy(NamedTuple):
    """A strategy and the configuration that results record."""

    config: ComponentConfig
    strategy: Strategy
    label: str
    """The name in tables and plots, as a suite would give it."""


@dataclass(frozen=True)
class _OtherOptimizer:
    """A local optimizer of which only its effect at a sync is known: none."""

    state_on_sync: ClassVar[AtSync] = "keep"

    def build(self, rows: Any) -> torch.optim.Optimizer:
        raise NotImplementedError


def check_options(length: LoopLength, buffers: str, reduction: str) -> None:
    """Check the options of `sync` that the suite's checks do not know.

    Args:
        length: of the loop.
        buffers: must be a `BufferRule`.
        reduction: must be a `Reduction`.

    Raises:
        UsageError: names each fault and what is allowed.
    """
    choices = {"buffers": (buffers, get_args(BufferRule)), "reduction": (reduction, get_args(Reduction))}
    faults = [
        f"{key}: {value!r}; {' and '.join(allowed)} are allowed{did_you_mean(str(value), allowed)}"
        for key, (value, allowed) in choices.items()
        if value not in allowed
    ]
    faults += [
        f"{key}: {value!r}; a whole number of steps from 1 is allowed, or None where it is not known"
        for key, value in length._asdict().items()
        if value is not None and (not isinstance(value, int) or value < 1)
    ]
    if faults:
        raise UsageError("\n".join(f"fdabench.sync: {fault}" for fault in faults))


def strategy_table(strategy: str | Mapping[str, TableValue], keys: Mapping[str, TableValue]) -> dict[str, TableValue]:
    """The table that a kind with keywords, or a mapping with a `kind`, stands for."""
    table = {"kind": strategy} if isinstance(strategy, str) else dict(strategy)
    return {**table, **keys}


def build_loop_strategy(
    table: SettingsTable,
    num_parameters: int,
    length: LoopLength,
    seed: int,
    optimizer: torch.optim.Optimizer,
    registry: Registry = BUILT_IN,
) -> LoopStrategy:
    """Validate the table of a strategy and build the strategy.

    Args:
        table: as a `[[strategy]]` table of a suite.
        num_parameters: trainable parameters of the model.
        length: of the loop.
        seed: of a sketch, equal in all ranks.
        optimizer: of the loop.
        registry: the components that the table may name.

    Raises:
        SuiteError: the table is wrong, or the strategy needs what a loop cannot give; lists every fault.
    """
    validated = check_strategies([dict(table)], registry)
    if validated.errors or len(validated.tables) != 1:
        lists = (
            [f"a list makes {len(validated.tables)} strategies of one; give one value"] if not validated.errors else []
        )
        lines = (format_issue(issue._replace(path=issue.path[2:]), {}) for issue in validated.errors)
        raise SuiteError(SOURCE, [*dict.fromkeys(lines), *lists])
    (settings,) = validated.tables
    config = ComponentConfig.from_table({key: value for key, value in settings.items() if key not in STRATEGY_OPTIONS})
    faults = [f"{key}: a loop has no such key; remove it" for key in STRATEGY_OPTIONS if table.get(key) is not None]
    if length.steps_per_epoch is None and (durations := list(_epoch_keys(settings))):
        faults += [f"{key}: epochs have no length here; give steps_per_epoch to fdabench.sync" for key in durations]
    if faults:
        raise SuiteError(SOURCE, faults)
    scale = CellScale(Fraction(length.steps_per_epoch or 1), num_parameters, seed)
    built = cast(Strategy, build_component(registry.strategies[config.kind], config, scale, registry))
    if faults := list(_unmet_needs(built, length, optimizer)):
        raise SuiteError(SOURCE, faults)
    return LoopStrategy(config, built, labels([settings], registry)[0])


def _epoch_keys(table: SettingsTable) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from (f"{key}.{inner}" for inner in _epoch_keys(value))
        elif key.endswith("epochs") and value is not None:
            yield key


def _unmet_needs(strategy: Strategy, length: LoopLength, optimizer: torch.optim.Optimizer) -> Iterator[str]:
    """What the strategy needs and this loop cannot give, with the remedy."""
    parts = [strategy, *components_of(strategy)]
    if any(isinstance(part, AdaComm) for part in parts):
        yield "adacomm: it needs the loss of each step, which an optimizer does not know; take a fixed period or fda"
    if any(isinstance(part, QSR) for part in parts):
        yield "qsr: it needs the learning rate of later steps, which a loop does not know; take stages or fda"
    if length.steps is None and getattr(strategy, "last", None) is True:
        yield "last: it synchronizes at the last step, whose number is not known; give steps to fdabench.sync"
    rule = strategy.rule if isinstance(strategy, HasSyncRule) else None
    rates = {float(group["lr"]) for group in optimizer.param_groups if "lr" in group}
    if rule is None:
        return
    restricted = rule.correction if isinstance(rule.correction, RestrictsOptimizer) else None
    if restricted is not None and (fault := restricted.incompatibility(_local_optimizer(optimizer))):
        yield fault
    if rule.correction is not None and any(group.get("fused") for group in optimizer.param_groups):
        yield "optimizer: fused = True may unscale gradients after they are corrected; build it with fused=False"
    by_rate = isinstance(rule.server, SlowMo) or getattr(rule.correction, "of", "") == "drift"
    if by_rate and len(rates) != 1:
        yield (
            f"optimizer: its parameter groups have {len(rates)} learning rates, and the strategy divides a drift by "
            "one; give all groups the same"
        )


def _local_optimizer(optimizer: torch.optim.Optimizer) -> LocalOptimizer:
    if type(optimizer) is torch.optim.SGD:
        return SGD(float(optimizer.param_groups[0]["lr"]), max(group["momentum"] for group in optimizer.param_groups))
    return _OtherOptimizer()


def components_of(component: object) -> Iterator[object]:
    """The components in the fields of a component, and recursively those in theirs."""
    for field in fields(component) if is_dataclass(component) else ():
        value = getattr(component, field.name)
        if is_dataclass(value):
            yield value
            yield from components_of(value)
