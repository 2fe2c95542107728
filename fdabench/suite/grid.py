"""Validates the workloads, strategies and excludes of a suite and expands them into cells.

`suite.reader` first calls the three check functions, which expand lists and collect the errors of all variants. If
there are none it calls `expand_grid`, which crosses workloads, strategies and seeds and removes excluded cells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from fdabench.cell_config import CellConfig
from fdabench.component_info import info_of
from fdabench.hyperparameters import THRESHOLD_TAG
from fdabench.metrics import METRICS
from fdabench.published.theta_rules import THETA_PER_PARAMETER, WARNING
from fdabench.registry.component_fields import component_fields
from fdabench.registry.registry import Registry
from fdabench.results.flatten_keys import flatten_keys, varying_keys
from fdabench.shared_types import ParsedTable
from fdabench.suite.cell import Cell
from fdabench.suite.expansion import Variant, count_variants, expand_lists
from fdabench.suite.labels import labels
from fdabench.suite.matching import cell_matches
from fdabench.suite.schema import STRATEGY_OPTIONS, Exclude, Suite, strategy_table, workload_table
from fdabench.suite.validation_errors import format_validation_errors
from fdabench.validation.messages import Issue, explain_value, format_names
from fdabench.validation.schema_walk import Keys
from fdabench.validation.toml_text import KeyPath, format_path, format_toml, format_value

MAX_CELLS = 100_000


class ValidatedTables(NamedTuple):
    """The variants that are valid, the errors of the others, and notes on how valid variants were interpreted."""

    tables: list[ParsedTable]
    errors: list[Issue]
    notes: list[str]


Check = Callable[[Variant, KeyPath, ValidatedTables], None]


@dataclass(frozen=True)
class CellGrid:
    """The cells of a suite in order, and notes for the user that are not errors."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def check_workloads(raw: object, registry: Registry) -> ValidatedTables:
    """Expand and validate the `workload` tables.

    Args:
        raw: the value of the key `workload` in the suite file. Entries that are not tables are skipped, because the
            validation of `Suite` reports them.
        registry: the components that the tables may name.
    """
    return _check_all(raw, "workload", partial(_check_workload, registry))


def check_strategies(raw: object, registry: Registry) -> ValidatedTables:
    """Expand and validate the `strategy` tables; arguments as in `check_workloads`."""
    return _check_all(raw, "strategy", partial(_check_strategy, registry))


def check_excludes(raw: object) -> ValidatedTables:
    """Expand and validate the `exclude` tables; argument as in `check_workloads`."""
    return _check_all(raw, "exclude", _check_exclude)


def _check_all(raw: object, name: str, check: Check) -> ValidatedTables:
    """Expand the lists in each table of a kind and call `check` for each variant."""
    validated = ValidatedTables([], [], [])
    for i, table in enumerate(raw if isinstance(raw, list) else []):
        place = (name, i)
        if not isinstance(table, dict):
            continue
        if not 0 < count_variants(table) <= MAX_CELLS:
            message = f"its lists make {count_variants(table)} variants; between 1 and {MAX_CELLS} are allowed"
            validated.errors.append(Issue(place, message))
            continue
        for variant in expand_lists(table, place):
            check(variant, place, validated)
    return validated


def _check_workload(registry: Registry, variant: Variant, place: KeyPath, validated: ValidatedTables) -> None:
    """Validate one variant of a workload, and add it or its errors to `validated`."""
    misfits = _misfits(registry, variant.value, lambda key: variant.locations.get((key,), (*place, key)))
    validated.errors.extend(misfits)
    table = _validate_variant(workload_table(registry), variant, validated)
    if table is not None and not misfits:
        validated.tables.append(table)


def _misfits(registry: Registry, table: ParsedTable, place: Callable[[str], KeyPath]) -> list[Issue]:
    """The conflicts between values of a workload, such as more workers than training samples.

    It runs before single values are validated, so each value may have the wrong type.

    Args:
        registry: contains the data sets and models.
        table: one variant of a workload.
        place: returns the path in the file of a key of the table.
    """
    name, workers, partition = table.get("dataset"), table.get("workers"), table.get("partition")
    data, model = registry.datasets.get(str(name)), registry.models.get(str(table.get("model")))
    if data is None:
        return []
    faults = []
    if isinstance(workers, int) and workers > data.train_samples:
        message = f"{format_value(workers)} workers, but {name} has {data.train_samples} training samples"
        faults.append(Issue(place("workers"), message))
    participation = table.get("participation")
    clients = participation.get("clients") if isinstance(participation, dict) else None
    if isinstance(clients, int) and clients > data.train_samples:
        message = f"{format_value(clients)} clients, but {name} has {data.train_samples} training samples"
        faults.append(Issue(place("participation"), message))
    faults += [Issue(place("participation"), message) for message in _trace_faults(registry, participation, workers)]
    batch_size = table.get("batch_size")
    if isinstance(batch_size, int) and batch_size > data.train_samples:
        message = f"{format_value(batch_size)} samples, but {name} has {data.train_samples} training samples"
        faults.append(Issue(place("batch_size"), message))
    if model is not None and model.task != data.task:
        message = f"{table['model']} is a model for {model.task}, but {name} is a data set for {data.task}"
        fitting = format_names(other for other, spec in registry.models.items() if spec.task == data.task)
        faults.append(Issue(place("model"), f"{message}; models for {data.task}: {fitting}"))
    elif model is not None and model.input_shape not in (None, data.shape):
        message = f"{table['model']} takes images of shape {model.input_shape}, but those of {name} are {data.shape}"
        faults.append(Issue(place("model"), message))
    label = partition.get("label") if isinstance(partition, dict) else None
    if isinstance(label, int) and label >= data.classes:
        message = f"there is no label {label}: {name} has 0 to {data.classes - 1}"
        faults.append(Issue(place("partition"), message))
    return faults


def _trace_faults(registry: Registry, participation: object, workers: object) -> list[str]:
    """Why the trace of availability of a workload does not fit its other values, each of which may have any type."""
    availability = participation.get("availability") if isinstance(participation, dict) else None
    if not isinstance(participation, dict) or not isinstance(availability, dict):
        return []
    trace, clients = registry.availability.get(str(availability.get("trace"))), participation.get("clients")
    period, faults = availability.get("period"), []
    if trace is None or not isinstance(period, int) or period < 1:
        return []
    if (last := trace.stop_M.max()) > period:
        faults.append(f"availability.period: {period} rounds, but the trace ends in round {last:g}; use at least that")
    elif isinstance(clients, int) and isinstance(workers, int):
        available = trace.mean_available(clients, period)
        if available < workers - 1e-9:  # its intervals may have rounding errors
            faults.append(
                f"availability.trace: on average {available:.3g} of {clients} clients are available, and workers = "
                f"{workers} of them train in each round; take more clients or fewer workers"
            )
    return faults


def _check_strategy(registry: Registry, variant: Variant, place: KeyPath, validated: ValidatedTables) -> None:
    """Validate one variant of a strategy, and add it, its notes or its errors to `validated`."""
    kind, strategies = variant.value.get("kind"), registry.strategies
    if not isinstance(kind, str) or kind not in strategies:
        text = (
            f"kind is missing; allowed: {format_names(strategies)}" if kind is None else explain_value(kind, strategies)
        )
        validated.errors.append(Issue(variant.locations.get(("kind",), place), text))
        return
    table = _validate_variant(
        strategy_table(kind, registry), variant, validated, partial(_keys_of_strategies, registry)
    )
    if table is None:
        return
    path = format_path(place)
    validated.notes.extend(f"{path}: {note}" for note in _rule_notes(registry, variant.value))
    validated.notes.extend(f"{path}: {note}" for note in _preset_notes(registry, variant.value))
    validated.tables.append(table)


def _keys_of_strategies(registry: Registry) -> Keys:
    """The keys of the table of each strategy."""
    return {name: strategy_table(name, registry).model_fields for name in registry.strategies}


def _preset_notes(registry: Registry, table: ParsedTable) -> list[str]:
    """One note for each field whose component has several published presets and for which the table names none.

    The note names the preset that is used.
    """
    notes = []
    for member in component_fields(registry.strategies[table["kind"]], registry):
        variants = {kind: info_of(cls) for kind, cls in member.component_classes.items()}
        settings = table.get(member.name, {})
        unnamed = isinstance(settings, dict) and not {"kind", "preset"} & set(settings)
        if unnamed and len(variants) > 1 and member.default_kind and all(info.preset for info in variants.values()):
            used = variants[member.default_kind]
            notes.append(f"no {member.name}.preset: preset = {used.preset!r} is used: {used.variant}")
    return notes


def _rule_notes(registry: Registry, table: ParsedTable) -> list[str]:
    """A warning about the published rules for theta, if the table names one of them; otherwise no note."""
    fields = component_fields(registry.strategies[table["kind"]], registry)
    thresholds = [member.name for member in fields if member.has_tag(THRESHOLD_TAG)]
    values = [table.get(name) for name in thresholds]
    constants = [value.get("per_parameter") if isinstance(value, dict) else value for value in values]
    has_rule = any(isinstance(value, str) for value in constants)
    rules = ", ".join(f"{name} {constant:g}" for name, constant in THETA_PER_PARAMETER.items())
    return [f"the rules for theta ({rules} per parameter) {WARNING}"] if has_rule else []


def _check_exclude(variant: Variant, place: KeyPath, validated: ValidatedTables) -> None:
    table = _validate_variant(Exclude, variant, validated)
    if table is not None:
        validated.tables.append(table)


def _validate_variant(
    model: type[BaseModel], variant: Variant, validated: ValidatedTables, kinds: Callable[[], Keys] = dict
) -> ParsedTable | None:
    """Validate a variant, and add its errors to `validated`.

    Args:
        model: the pydantic model of the table.
        variant: of the table.
        validated: receives the errors.
        kinds: returns the keys of each kind, for the message of an unknown key. It is called if the variant is invalid.
    """
    try:
        return model.model_validate(variant.value).model_dump(exclude_none=True)
    except ValidationError as error:
        validated.errors.extend(format_validation_errors(error, variant.value, model, variant.locations, kinds()))
        return None


def expand_grid(
    suite: Suite, workloads: ValidatedTables, strategies: ValidatedTables, excludes: ValidatedTables, registry: Registry
) -> CellGrid:
    """Create one cell for each combination of workload, strategy and seed.

    Excluded combinations are removed. Of cells with the same id the first is kept, and a note counts the others.

    Args:
        suite: the settings that all cells have in common, and the seeds.
        workloads: validated by `check_workloads`, without errors.
        strategies: validated by `check_strategies`, without errors.
        excludes: validated by `check_excludes`, without errors.
        registry: the components that the tables name.
    """
    strategy_labels = labels(strategies.tables, registry)
    reference = _reference(strategies.tables, strategy_labels, registry)
    combinations = product(workloads.tables, zip(strategies.tables, strategy_labels, strict=True), suite.seeds)
    cells = [
        Cell(_config(suite, workload, strategy, seed), label, label == reference)
        for workload, (strategy, label), seed in combinations
    ]
    included = [cell for cell in cells if not any(cell_matches(cell.config, exclude) for exclude in excludes.tables)]
    unique = {cell.id: cell for cell in reversed(included)}
    twice = len(included) - len(unique)
    duplicate_notes = ["1 cell came up twice and is run once"] if twice == 1 else []
    duplicate_notes += [f"{twice} cells came up twice and are run once"] if twice > 1 else []
    duplicate_notes += _check_labels(workloads.tables, strategies.tables, strategy_labels)
    idle = [exclude for exclude in excludes.tables if not any(cell_matches(cell.config, exclude) for cell in cells)]
    notes = [*strategies.notes, *duplicate_notes, *(f"exclude: no cell matches {format_toml(table)}" for table in idle)]
    return CellGrid(tuple(_distinguish_titles(list(reversed(unique.values())))), tuple(dict.fromkeys(notes)))


def _check_labels(
    workloads: Sequence[ParsedTable], strategies: Sequence[ParsedTable], strategy_labels: Sequence[str]
) -> list[str]:
    """One note for each strategy that has its own optimizer, if some workloads differ only in their optimizer.

    The strategy's optimizer replaces that of the workload, so such workloads give the same cells for it.
    """
    distinct = {repr(table) for table in workloads}
    others = {repr({key: value for key, value in table.items() if key != "optimizer"}) for table in workloads}
    own = [label for table, label in zip(strategies, strategy_labels, strict=True) if table.get("optimizer")]
    if len(others) == len(distinct) or not own or len(own) == len(strategy_labels):
        return []
    return [
        f"{label}: with an optimizer of its own it is the same in workloads that differ in the optimizer alone; it is "
        "compared in the first of these"
        for label in own
    ]


def _distinguish_titles(cells: Sequence[Cell]) -> list[Cell]:
    """Set `detail` of cells that have the same title to the settings in which they differ."""
    configs_by_title: dict[str, list[ParsedTable]] = {}
    for cell in cells:
        configs_by_title.setdefault(cell.title, []).append(flatten_keys(cell.config.to_dict()))
    keys = {title: varying_keys(configs) for title, configs in configs_by_title.items() if len(configs) > 1}
    return [replace(cell, detail=_detail(cell, keys[cell.title])) if cell.title in keys else cell for cell in cells]


def _detail(cell: Cell, keys: Sequence[str]) -> str:
    values = flatten_keys(cell.config.to_dict())
    texts = {key: f"{key.rpartition('.')[2]}={values[key]}" for key in keys if key in values}
    return " ".join(str(values[key]) if key.endswith(".kind") else text for key, text in texts.items())


def _reference(strategies: Sequence[ParsedTable], strategy_labels: Sequence[str], registry: Registry) -> str | None:
    """The label of the reference strategy.

    It is the first strategy that the suite marks with `reference = true`, or else the first whose description has
    `is_reference`. None if there is neither.
    """
    flagged = [label for table, label in zip(strategies, strategy_labels, strict=True) if table["reference"]]
    usual = [
        label
        for table, label in zip(strategies, strategy_labels, strict=True)
        if registry.info("strategies", table["kind"]).is_reference
    ]
    return next(iter(flagged + usual), None)


def _config(suite: Suite, workload: ParsedTable, strategy: ParsedTable, seed: int) -> CellConfig:
    """The configuration of one cell. The optimizer of the strategy, if it has one, replaces that of the workload."""
    own = {key: value for key, value in strategy.items() if key not in STRATEGY_OPTIONS}
    cadence = suite.eval.model_dump(
        include={"every_steps", "every_epochs", "model", "validation", "samples"}, exclude_none=True
    )
    if suite.eval.stop_at_last_target:
        cadence |= {
            "stop_at": METRICS[suite.eval.metric].best(suite.eval.targets),
            "consecutive": suite.eval.consecutive,
            "comparison": suite.eval.comparison,
        }
        # Written only where it differs from the default, so that the ids of cells with accuracies stay the same.
        cadence |= {"metric": suite.eval.metric} if suite.eval.metric != "accuracy" else {}
    if suite.eval.worst_decile:
        # The metric decides which owners are the worst. Both keys are left out otherwise, so that ids stay the same.
        cadence |= {"worst_decile": True, "metric": suite.eval.metric}
    return CellConfig.from_table(
        {
            **workload,
            "optimizer": strategy.get("optimizer", workload["optimizer"]),
            "strategy": own,
            "budget": suite.budget.model_dump(exclude_none=True),
            "eval": cadence,
            "seed": seed,
        }
    )
