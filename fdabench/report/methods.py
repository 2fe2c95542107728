"""Describes the experiments of a report: semantics, hyper-parameters, versions, and the commands that repeat them.

`report.build` prints commands, conventions and formulas on the page. `tables.build` makes the table `settings` from
`method_rows`. The values are read from the lock files of suites and from the records of cells.
"""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import NamedTuple

from fdabench.analysis.data import ReportData
from fdabench.cell_config import CellConfig, ComponentConfig, EvalConfig
from fdabench.component_info import STRATEGY_ROLES
from fdabench.formatting import format_component, format_count, join_first, strip_paths
from fdabench.metrics import METRICS
from fdabench.report.budgets import describe_budget
from fdabench.results.suite_lock import SuiteLock


class MethodRow(NamedTuple):
    """A row of the table `settings`."""

    topic: str
    item: str
    value: str


CONVENTIONS = {
    "paper": "model sync 2·K·n, local state K·n (up only), initial distribution as one more sync",
    "star": "model sync 2·K·n, local state 2·K·n, initial distribution 2·K·n",
    "ring": "model sync and local state 2·(K−1)·n, initial distribution free",
    "upload": "model sync and local state K·n, initial distribution free",
}
_AT_SYNC = {
    "keep": "each worker keeps its own across syncs",
    "reset": "set to zero at each sync",
    "average": "averaged over workers at each sync; its bytes are counted",
}
_AVERAGING = {"uniform": "plain mean over workers", "samples": "mean weighted by each worker's samples"}
_SHARES = {
    "per-class": "each class is divided among the workers by proportions from Dir(α); shards differ in size",
    "per-worker": "equal shards, each with a class mix from Dir(α · prior) (Hsu et al., 2019)",
}
_SAMPLING = {
    "shuffle": "each worker uses each sample at most once in a pass, in an order that is random in each pass",
    "replacement": "each batch is an independent draw from the worker's samples",
}
_LAST_BATCH = {
    "wrap": "filled with samples of the next pass",
    "drop": "samples that do not fill a batch are left out of that pass",
    "keep": "a smaller batch",
}
_EVALUATED = {
    "virtual-mean": "the model that a sync of the workers' current models would give, after the server's step; its "
    "bytes are not counted",
    "synced": "the global model of the last sync; its bytes are counted",
    "paper": "mean of the workers' current models, whose bytes are not counted; if the server has an optimizer, the "
    "server's model after its step, whose bytes are counted",
}


def method_rows(data: ReportData) -> list[MethodRow]:
    """Return the rows of the table `settings`: suites, semantics, strategies and environments."""
    configs = list(data.configs.values())
    return [*_suites(data), *_semantics(configs), *_strategies(data), *_environments(data)]


def formulas(data: ReportData) -> dict[str, str]:
    """Return the formulas of the components that the cells use, for the roles in `STRATEGY_ROLES`.

    Returns:
        Formulas by the name of the component and its role, such as `naive monitor`. Components without a formula are
        left out, except monitors: a reader has to see that the bound of a monitor is not declared.
    """
    by_component: dict[str, str] = {}
    for lock in data.locks.values():
        for role, role_name in STRATEGY_ROLES.items():
            for kind, info in lock.components.get(role, {}).items():
                if info.formula or role == "monitors":
                    by_component.setdefault(f"{kind} {role_name}", info.formula or "declares no formula")
    return by_component


def commands(data: ReportData) -> list[str]:
    """Return the commands that repeat the runs, one for each suite. Folders are removed from absolute paths."""
    lines = []
    for lock in data.locks.values():
        source = strip_paths(lock.source) if PurePath(lock.source).is_absolute() else lock.source
        overrides = [part for override in lock.overrides for part in ("--set", strip_paths(override))]
        lines.append(shlex.join(["fdabench", "run", source, *overrides]))
    return lines


def _suites(data: ReportData) -> list[MethodRow]:
    rows = []
    for name, lock in data.locks.items():
        metric = METRICS[lock.metric]
        side = metric.better_side if lock.comparison == ">" else f"at or {metric.better_side}"
        rule = (
            f"the first of {lock.consecutive} consecutive evaluations {side} it"
            if lock.consecutive > 1
            else f"the first evaluation {side} it"
        )
        rows += [
            MethodRow(name, "description", strip_paths(lock.description) or "none given"),
            MethodRow(name, "how hyper-parameters were chosen", strip_paths(lock.tuning) or "not stated"),
            MethodRow(name, "seeds", join_first([str(seed) for seed in lock.seeds], 20)),
            MethodRow(name, "targets", join_first([metric.format_target(target) for target in lock.targets]) or "none"),
            MethodRow(name, "a target is reached at", rule),
            MethodRow(
                name,
                "accounting",
                f"{lock.convention}: {CONVENTIONS[lock.convention]} (n: bytes of one worker's message, K: workers)",
            ),
        ]
    return rows


def _semantics(configs: list[CellConfig]) -> list[MethodRow]:
    topic = "semantics"
    states = [config.optimizer.parameters.get("state_on_sync", "keep") for config in configs]
    shares = [config.partition.parameters.get("shares") for config in configs]
    return [
        MethodRow(topic, "averaging", _format_meanings((c.averaging for c in configs), _AVERAGING)),
        MethodRow(topic, "optimizer state at a sync", _format_meanings(map(str, states), _AT_SYNC)),
        MethodRow(topic, "Dirichlet", _format_meanings((str(share) for share in shares if share is not None), _SHARES)),
        MethodRow(topic, "sampling", _format_meanings((c.sampling for c in configs), _SAMPLING)),
        MethodRow(topic, "last batch of a pass", _format_meanings((c.last_batch for c in configs), _LAST_BATCH)),
        MethodRow(topic, "budget", describe_budget(configs)),
        MethodRow(topic, "evaluation", _format_meanings((_cadence(c.eval) for c in configs), {})),
        MethodRow(topic, "evaluated model", _format_meanings((_evaluated_model(c.eval) for c in configs), _EVALUATED)),
        MethodRow(topic, "evaluated on", _format_meanings((_evaluated_on(c.eval) for c in configs), {})),
    ]


def _evaluated_model(evaluation: EvalConfig) -> str:
    """The model that was evaluated. Versions that wrote no `model` evaluated the model that the paper evaluates."""
    return evaluation.model if "model" in evaluation.model_fields_set else "paper"


def _evaluated_on(evaluation: EvalConfig) -> str:
    split = evaluation.validation
    if split is None:
        num_samples = evaluation.samples
        return (
            f"{format_count(num_samples)} samples of the test set, drawn by seed"
            if num_samples
            else "the whole test set"
        )
    return f"a validation split of {100 * split.share:g} % of the training set (seed {split.seed}), not trained on"


def _format_meanings(values: Iterable[str], meanings: Mapping[str, str]) -> str:
    distinct = list(dict.fromkeys(values))
    return (
        "; ".join(f"{value}: {meanings[value]}" if value in meanings else str(value) for value in distinct)
        or "not used"
    )


def _cadence(evaluation: EvalConfig) -> str:
    every = {"steps": evaluation.every_steps, "epochs": evaluation.every_epochs}
    return " or ".join(f"every {value:g} {unit}" for unit, value in every.items() if value is not None)


def _strategies(data: ReportData) -> list[MethodRow]:
    """One row for each strategy. Values that differ between its cells are separated by ` | `."""
    rows: dict[str, dict[str, list[str]]] = {}
    for _, run in data.runs.iterrows():
        parts = rows.setdefault(run["label"], {})
        record = data.records.get(run["cell_id"])
        resolved = record.resolved if record else {}
        lock = data.locks[run["suite"]]
        for item, value in _describe(data.configs[run["cell_id"]], resolved, lock).items():
            values = parts.setdefault(item, [])
            if value not in values:
                values.append(value)
    return [MethodRow("strategy", label, _join_parts(parts)) for label, parts in rows.items()]


def _join_parts(parts: Mapping[str, list[str]]) -> str:
    texts = {item: " | ".join(filter(None, values)) for item, values in parts.items()}
    return "; ".join(f"{item}: {text}" for item, text in texts.items() if text)


def _describe(config: CellConfig, resolved: Mapping[str, int | float], lock: SuiteLock) -> dict[str, str]:
    server = config.strategy.component("server") or ComponentConfig("average")
    variant = lock.info("servers", server.kind).variant
    meaning = f" ({variant})" if variant else ""
    numbers = [f"{key}={resolved[key]:.6g}" for key in ("theta", "period", "steps_per_epoch") if key in resolved]
    size = [f"d={format_count(resolved['num_parameters'])}"] if "num_parameters" in resolved else []
    return {
        "rule": format_component(config.strategy.to_table(), exclude=("server",)),
        "server": format_component(server.to_table()) + meaning,
        "local optimizer": format_component(config.optimizer.to_table(), exclude=("state_on_sync",)),
        "as run": ", ".join([*size, *numbers]),
    }


def _environments(data: ReportData) -> list[MethodRow]:
    by_key: dict[str, list[str]] = {}
    for record in data.records.values():
        for key, value in record.environment.items():
            values = by_key.setdefault(key, [])
            if (text := strip_paths(str(value))) not in values:
                values.append(text)
    return [MethodRow("environment", key, join_first(values)) for key, values in by_key.items()]
