"""Checks cells for sizes that could not be run and for settings that exclude each other.

`suite.reader` calls `size_errors` once the grid is expanded, because the number of local steps in an epoch depends on
the data set, the workers and the batch size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from fractions import Fraction

from fdabench.cell_config import CellConfig
from fdabench.core.strategy import HasSyncRule
from fdabench.corrections.base import RestrictsOptimizer, RestrictsSpeeds
from fdabench.registry.build_component import CellScale, build_component, held_out_samples, to_steps
from fdabench.registry.registry import Registry
from fdabench.suite.cell import Cell
from fdabench.suite.components.tables import MAX_STEPS
from fdabench.validation.messages import Issue

MAX_EVALUATIONS = 10**6
"""Evaluations of a cell, at most. The process of the cell keeps one row for each in memory until the cell ends."""


def size_errors(cells: Sequence[Cell], registry: Registry) -> list[Issue]:
    """The errors of all cells, each reported once."""
    return list(dict.fromkeys(fault for cell in cells for fault in _cell_errors(cell.config, registry)))


def _cell_errors(config: CellConfig, registry: Registry) -> Iterator[Issue]:
    """Yield the errors of one cell: of its optimizer, validation split, budget and number of evaluations."""
    yield from _learning_rate_errors(config, registry)
    yield from _evaluation_errors(config, registry)
    workers, batch_size = config.workers, config.batch_size
    train_samples = registry.datasets[config.dataset].train_samples
    held_out = held_out_samples(config.eval, train_samples)
    left = train_samples - held_out
    if config.eval.validation is not None and (held_out == 0 or left < config.clients):
        message = f"of {train_samples} samples of {config.dataset} it takes {held_out} and leaves {left}"
        yield Issue(("eval", "validation", "share"), message)
        return
    epoch = Fraction(left, workers * batch_size)
    yield from _optimizer_errors(config, epoch, registry)
    steps = to_steps(config.budget.steps, config.budget.epochs, epoch)
    scope = f"for {config.dataset}, workers = {workers} and batch_size = {batch_size}"
    if steps > MAX_STEPS:
        message = f"{scope} it comes to {float(steps):.3g} local steps; at most {MAX_STEPS:.0e} are allowed"
        yield Issue(("budget",), message)
    # there is at most one evaluation in a step
    evaluations = min(steps, steps / to_steps(config.eval.every_steps, config.eval.every_epochs, epoch))
    if evaluations > MAX_EVALUATIONS:
        message = f"{float(evaluations):.3g} evaluations; at most {MAX_EVALUATIONS:.0e} are allowed"
        yield Issue(("eval",), f"{scope} there would be {message}: take a longer period")


def _evaluation_errors(config: CellConfig, registry: Registry) -> Iterator[Issue]:
    """Yield an error for each key of `eval` that asks for more than the data set has, if that is known unloaded."""
    data, samples = registry.datasets[config.dataset], config.eval.samples
    if samples is not None and data.test_samples is not None and samples > data.test_samples:
        text = f"{samples} samples, but the test set of {config.dataset} has {data.test_samples}; use at most that many"
        yield Issue(("eval", "samples"), f"{text}, or leave the key out")
    if config.eval.worst_decile and data.has_owners is False:
        text = f"the samples of {config.dataset} have no owners; leave the key out, or use data with owners"
        yield Issue(("eval", "worst_decile"), f"{text}, such as shakespeare")


def _optimizer_errors(config: CellConfig, epoch: Fraction, registry: Registry) -> Iterator[Issue]:
    """Yield an error if the strategy refuses its period, or cannot be used with the local optimizer."""
    scale = CellScale(epoch, 1, 0)
    try:
        strategy = build_component(registry.strategies[config.strategy.kind], config.strategy, scale, registry)
    except Exception as error:  # a plug-in may raise any class
        yield Issue((), f'strategy "{config.strategy.kind}": {error}')
        return
    if config.speeds is not None:
        yield from _speed_errors(config, strategy, registry)
    if not isinstance(strategy, HasSyncRule):
        return
    rule, reason = strategy.rule, ""
    if rule.is_streaming and config.participation is not None:
        text = "its syncs average a part of the model, and clients that are drawn need the whole: remove participation"
        yield Issue((), f'strategy "{config.strategy.kind}": {text}')
    if not rule.is_streaming and not isinstance(rule.correction, RestrictsOptimizer):
        return
    optimizer = build_component(registry.optimizers[config.optimizer.kind], config.optimizer, scale, registry)
    state_on_sync = getattr(optimizer, "state_on_sync", "keep")
    if isinstance(rule.correction, RestrictsOptimizer):
        reason = rule.correction.incompatibility(optimizer)
    elif state_on_sync != "keep":
        reason = (
            f'optimizer.state_on_sync: "{state_on_sync}" replaces the whole optimizer state at each fragment '
            'of the model; only "keep" is allowed'
        )
    if reason:
        # no path: the optimizer may be that of the workload or that of the strategy
        yield Issue((), f'strategy "{config.strategy.kind}": {reason}')


def _speed_errors(config: CellConfig, strategy: object, registry: Registry) -> Iterator[Issue]:
    """Yield the reasons for which a strategy and its local optimizer cannot have slow workers."""
    where, normalized = f'strategy "{config.strategy.kind}"', config.averaging == "steps"
    rule = strategy.rule if isinstance(strategy, HasSyncRule) else None
    fault = ""
    if rule is not None and isinstance(rule.correction, RestrictsSpeeds):
        fault = rule.correction.speeds_fault(normalized)
    if fault:
        yield Issue((), f"{where}: {fault}; remove speeds, or use another strategy")
    if normalized and (rule is None or rule.is_streaming):
        reason = 'averaging = "steps" scales the drifts of whole rounds, and its syncs average something else'
        yield Issue((), f'{where}: {reason}; use averaging = "uniform", or another strategy')
    scale = CellScale(Fraction(1), 1, 0)
    optimizer = build_component(registry.optimizers[config.optimizer.kind], config.optimizer, scale, registry)
    if getattr(optimizer, "state_on_sync", "keep") == "average":
        reason = 'optimizer.state_on_sync = "average" needs a state of every worker, which a slow one may not have yet'
        yield Issue((), f'{where}: {reason}; use "keep" or "reset", or remove speeds')


def _learning_rate_errors(config: CellConfig, registry: Registry) -> Iterator[Issue]:
    """Yield an error if the strategy's trigger follows the learning rate and the local optimizer has none."""
    trigger, optimizer = config.strategy.component("when"), registry.optimizers[config.optimizer.kind]
    if trigger is None or not getattr(registry.triggers[trigger.kind], "follows_learning_rate", False):
        return
    if "lr" not in {field.name for field in fields(optimizer)}:  # type: ignore[arg-type]
        yield Issue(
            (),
            f'strategy "{config.strategy.kind}": the trigger "{trigger.kind}" follows the learning rate, and the '
            f'optimizer "{config.optimizer.kind}" has no field lr; use another optimizer or another trigger',
        )
