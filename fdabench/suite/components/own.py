"""Reads the data sets, models and traces of availability that a suite describes, and adds them to its registry.

`suite.reader` calls `add_own_components` before it validates the workloads. A table `dataset = { kind = "npz", ... }`
becomes the name of a data set, so the rest of the program sees a data set as any other. The configuration of a cell has
the name; the hash of the content is part of the code hashes of the cell, so the cell is stale if the data have changed.

The path of a trace becomes its stem and a hash of its intervals, so cells with other intervals are other cells.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

from pydantic import Field, ValidationError, create_model, model_validator

from fdabench.datasets.availability import ClientIntervals, read_intervals
from fdabench.datasets.formats.base import DataError, DataFormat, OpenedData, open_data
from fdabench.errors import WorkloadError
from fdabench.hyperparameters import NAME
from fdabench.models.base import FrozenBase, ModelSpec, Shape, count_parameters
from fdabench.models.fine_tuning import FineTuning, check_layers, fine_tuned
from fdabench.models.lora import LoraConfig
from fdabench.models.sources.base import open_model
from fdabench.registry.registry import Registry
from fdabench.shared_types import ParsedTable
from fdabench.suite.components.tables import ComponentTable, TomlTable, make_component_table
from fdabench.suite.expansion import Variant, expand_lists
from fdabench.suite.validation_errors import format_validation_errors
from fdabench.validation.messages import Issue, explain_value, format_issue, format_names
from fdabench.validation.schema_walk import Keys
from fdabench.validation.toml_text import KeyPath

PATH_KEYS = ("path", "test", "weights", "init")
"""Keys of the tables `dataset` and `model` that may be paths, relative to the folder of the suite file."""
TRACE_PATH = ("participation", "availability", "trace")
"""The keys of a workload that lead to the path of a trace, which is relative to the same folder."""
NO_KINDS: Keys = {}
LIST_KEYS = ("trainable", "targets")
"""Keys of the table `model` whose value is a list; the list makes no variants."""


Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class Lora(TomlTable):
    """Low-rank adapters of linear layers: W + alpha / rank B A, of which A and B are trained."""

    rank: Annotated[int, Field(ge=1, le=65536)]
    targets: Names
    alpha: Annotated[float, Field(gt=0, le=1e6)] | None = None


class FineTuningKeys(TomlTable):
    """The weights that a model begins from, and what of it is trained."""

    init: Annotated[str, Field(min_length=1)] | None = None
    trainable: Names | None = None
    lora: Lora | None = None
    base: FrozenBase | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.trainable is not None and self.lora is not None:
            raise ValueError("trainable and lora are both given: lora trains its adapters only; remove one of the two")
        if self.base is not None and self.trainable is None and self.lora is None:
            raise ValueError("base says how workers get the frozen parameters, and without trainable or lora none are")
        return self


class BuiltInModel(FineTuningKeys):
    """A model of fdabench or of a plug-in with keys of fine-tuning. `built_in_table` restricts its name."""

    name: str


TableOf = Callable[[str], type[ComponentTable]]


class OwnComponents(NamedTuple):
    """The workloads of a suite with names in place of tables, the registry with what they name, and the faults."""

    workloads: object
    registry: Registry
    errors: list[Issue]


class _Named(NamedTuple):
    source: DataFormat
    opened: OpenedData


def resolve_paths(raw: ParsedTable, folder: Path) -> None:
    """Make the paths in the tables `dataset` and `model` of a suite relative to the current folder, in place.

    Args:
        raw: the tables of the suite file.
        folder: the folder of the suite file.
    """
    workloads = raw.get("workload")
    for workload in workloads if isinstance(workloads, list) else []:
        for key in ("dataset", "model"):
            value = workload.get(key) if isinstance(workload, dict) else None
            for table in value if isinstance(value, list) else [value]:
                if isinstance(table, dict):
                    table |= {path: _resolved(table[path], folder) for path in PATH_KEYS if path in table}
        if isinstance(workload, dict) and "participation" in workload:
            workload |= _map_traces(workload, (), lambda path, place: _resolved(path, folder), TRACE_PATH)


def _resolved(value: object, folder: Path) -> object:
    if isinstance(value, list):
        return [_resolved(entry, folder) for entry in value]
    return (folder / value).as_posix() if isinstance(value, str) and value else value


def add_own_components(workloads: object, registry: Registry) -> OwnComponents:
    """Read the data sets and models that workloads describe with a table.

    Args:
        workloads: the value of the key `workload` in the suite file, of any type.
        registry: the data formats and model sources, and what a suite may name otherwise.
    """
    if not isinstance(workloads, list):
        return OwnComponents(workloads, registry, [])
    data: dict[str, _Named] = {}
    models: dict[str, ModelSpec] = {}
    traces: dict[str, ClientIntervals] = {}
    errors: list[Issue] = []

    def name_trace(path: str, place: KeyPath) -> str:
        return _name_trace(path, place, traces, errors)

    def name_data(variant: Variant) -> str:
        return _name_data(variant, registry, data, errors)

    def name_model(variant: Variant) -> str:
        return _name_model(variant, registry, models, errors)

    replaced = [
        _replaced(_replaced(workload, i, "dataset", name_data), i, "model", name_model)
        for i, workload in enumerate(_map_traces(workloads, ("workload",), name_trace, TRACE_PATH))
    ]
    if not data and not models and not traces:
        return OwnComponents(replaced, registry, errors)
    datasets = {**registry.datasets, **{name: own.opened.spec for name, own in data.items()}}
    hashes = {**registry.data_hashes, **{name: own.opened.content for name, own in data.items()}}
    all_models = {**registry.models, **models}
    extended = replace(registry, datasets=datasets, data_hashes=hashes, models=all_models, availability=traces)
    return OwnComponents(replaced, extended, errors)


def _map_traces(value: Any, place: KeyPath, of_path: Callable[[str, KeyPath], Any], keys: Sequence[str]) -> Any:
    """A copy of a value in which `of_path` has replaced each path of a trace; lists may be at any level.

    Args:
        value: of any type; what is neither a table nor a list on the way to a path stays as it is.
        place: the path of `value` in the file.
        of_path: returns what replaces a path, given the path and its place in the file.
        keys: that lead from `value` to the path.
    """
    if isinstance(value, list):
        return [_map_traces(entry, (*place, i), of_path, keys) for i, entry in enumerate(value)]
    if not keys:
        return of_path(value, place) if isinstance(value, str) and value else value
    if not isinstance(value, dict) or keys[0] not in value:
        return value
    return {**value, keys[0]: _map_traces(value[keys[0]], (*place, keys[0]), of_path, keys[1:])}


def _name_trace(path: str, place: KeyPath, traces: dict[str, ClientIntervals], errors: list[Issue]) -> str:
    """Read one trace and add it to `traces`, or its faults to `errors`; returns its name."""
    try:
        intervals = read_intervals(Path(path))
    except WorkloadError as error:
        errors += [Issue(place, fault) for fault in str(error).splitlines()]
        return ""
    name = f"{_as_name(Path(path).stem) or 'trace'}-{intervals.content[:12]}"
    traces[name] = intervals
    return name


def _replaced(workload: object, i: int, key: str, name_of: Callable[[Variant], str]) -> object:
    """The workload with names in place of the tables of one key; each list in a table makes several names."""
    if not isinstance(workload, dict) or not _has_table(workload.get(key)):
        return workload
    value = _lists_as_values(workload[key]) if key == "model" else workload[key]
    names = [
        name_of(variant) if isinstance(variant.value, dict) else variant.value
        for variant in expand_lists(value, ("workload", i, key))
    ]
    return {**workload, key: names[0] if len(names) == 1 else names}


def _lists_as_values(value: object) -> object:
    """A copy in which lists of names are tuples, which `expand_lists` takes as one value.

    A list of lists still makes variants.
    """
    if isinstance(value, list):
        return [_lists_as_values(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _as_tuple(entry)
        if key in LIST_KEYS
        else _lists_as_values(entry)
        if isinstance(entry, dict | list)
        else entry
        for key, entry in value.items()
    }


def _as_tuple(names: object) -> object:
    if isinstance(names, list) and any(isinstance(entry, list) for entry in names):
        return [_as_tuple(entry) for entry in names]
    return tuple(names) if isinstance(names, list) else names


def _has_table(dataset: object) -> bool:
    return isinstance(dataset, dict) or (isinstance(dataset, list) and any(isinstance(item, dict) for item in dataset))


def _values(
    variant: Variant,
    kinds: Mapping[str, type],
    table_of: Callable[[str], type[ComponentTable]],
    errors: list[Issue],
) -> ParsedTable | None:
    """The validated keys of a table with a kind; None if it is invalid, and then `errors` gets its faults."""
    place, table = variant.locations[()], variant.value
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        text = f"kind is missing; allowed: {format_names(kinds)}" if kind is None else explain_value(kind, list(kinds))
        errors.append(Issue((*place, "kind") if kind is not None else place, text))
        return None
    return _checked(variant, table_of(kind), errors)


def _checked(variant: Variant, model: type[TomlTable], errors: list[Issue]) -> ParsedTable | None:
    """The validated keys of a table; None if it is invalid, and then `errors` gets its faults."""
    table = variant.value
    try:
        return model.model_validate(table).model_dump(exclude_none=True)
    except ValidationError as error:
        errors += format_validation_errors(error, table, model, variant.locations, NO_KINDS)
        return None


def _name_model(variant: Variant, registry: Registry, models: dict[str, ModelSpec], errors: list[Issue]) -> str:
    """Open one model and add it to `models`, or its faults to `errors`; returns its name."""
    sources = registry.model_sources
    built_in = "kind" not in variant.value and "name" in variant.value
    values = (
        _checked(variant, built_in_table(registry), errors)
        if built_in
        else _values(variant, sources, partial(model_table, registry=registry), errors)
    )
    if values is None:
        return ""
    keys = set(values)
    tuning = {key: values.pop(key) for key in FineTuningKeys.model_fields if key in values}
    try:
        if built_in:
            name = str(values["name"])
            spec = registry.models[name]
        else:
            kind = values.pop("kind")
            name, spec = open_model(sources[kind](**values), kind)
            count_parameters(spec, *_trial_input(spec))
        if tuning:
            settings = fine_tuning_of(tuning)
            check_layers(spec, settings, *_trial_input(spec))
            name, spec = fine_tuned(name, spec, settings)
    except WorkloadError as error:
        key, colon, message = str(error).partition(": ")
        place = variant.locations[()]
        is_key = bool(colon) and key in keys
        errors.append(Issue((*place, key) if is_key else place, message if is_key else str(error)))
        return ""
    models[name] = spec
    return name


def _trial_input(spec: ModelSpec) -> tuple[Shape, int]:
    """The shape of an input, and a number of classes, that a model is built with to look at its layers."""
    if spec.task == "next-token":
        return (64,), 256
    return spec.input_shape or (3, 224, 224), 10


def _name_data(variant: Variant, registry: Registry, data_sets: dict[str, _Named], errors: list[Issue]) -> str:
    """Read one data set and add it to `data_sets`, or its faults to `errors`; returns its name."""
    place = variant.locations[()]
    values = _values(variant, registry.formats, partial(dataset_table, registry=registry), errors)
    if values is None:
        return ""
    alias = values.pop("alias", None)
    source = registry.formats[values.pop("kind")](**values)
    name = alias or default_name(source)
    if name in registry.datasets:
        message = f'"{name}" is a data set that fdabench or a plug-in adds; give this one another alias'
        errors.append(Issue((*place, "alias"), message))
        return ""
    if name in data_sets and data_sets[name].source != source:
        message = f'another data set of this suite has the name "{name}"; give this one another alias'
        errors.append(Issue((*place, "alias"), message))
        return ""
    if name not in data_sets:
        try:
            data_sets[name] = _Named(source, open_data(source, name))
        except DataError as error:
            places = variant.locations
            errors += [Issue(places.get((fault.key,), (*place, fault.key)), fault.message) for fault in error.faults]
            return ""
    return name


def default_name(source: DataFormat) -> str:
    """The name of a data set whose table has no `alias`: `own-` and the stem of its path, such as `own-femnist`."""
    stem = getattr(source, "name", Path(source.path).stem)
    return f"own-{_as_name(stem) or 'data'}"[:64]


def _as_name(stem: str) -> str:
    """The stem of a file with only such letters as names have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")


def dataset_table(kind: str, registry: Registry) -> type[ComponentTable]:
    """Create the pydantic model of the table `dataset` of one format, including the key `alias`."""
    own = make_component_table(kind, registry.formats[kind], registry)
    alias: Any = (Annotated[str, Field(pattern=f"^{NAME}$")] | None, None)
    made = create_model(own.__name__, __base__=own, __doc__=own.__doc__, alias=alias)
    return cast(type[ComponentTable], made)


def model_table(kind: str, registry: Registry) -> type[ComponentTable]:
    """Create the pydantic model of the table `model` of one source, including the keys of fine-tuning."""
    own = make_component_table(kind, registry.model_sources[kind], registry)
    return cast(type[ComponentTable], create_model(own.__name__, __base__=(own, FineTuningKeys), __doc__=own.__doc__))


@cache
def built_in_table(registry: Registry) -> type[BuiltInModel]:
    """Create the pydantic model of the table `model` without a kind, whose name must be in the registry."""
    name: Any = (Literal[tuple(registry.models)], ...)
    description = "A model by its name, with the weights that it begins from and what of it is trained."
    return cast(type[BuiltInModel], create_model("BuiltInModel", __base__=BuiltInModel, __doc__=description, name=name))


def fine_tuning_of(keys: ParsedTable) -> FineTuning:
    """Return the settings that validated keys give. Without `alpha` the adapters are not scaled: alpha = rank."""
    lora = keys.get("lora")
    adapters = (
        None
        if lora is None
        else LoraConfig(lora["rank"], tuple(lora["targets"]), float(lora.get("alpha", lora["rank"])))
    )
    trainable = tuple(keys.get("trainable", ()))
    return FineTuning(keys.get("init", ""), trainable, adapters, keys.get("base", "preinstalled"))


def model_spec(value: object, registry: Registry) -> tuple[str, ModelSpec]:
    """The name and the specification of the model that the key `model` of a workload names or describes.

    Args:
        value: a name or a table.
        registry: the models and the model sources.

    Raises:
        WorkloadError: there is no such model; the message has all faults.
    """
    if isinstance(value, str):
        if value not in registry.models:
            raise WorkloadError(f"model {explain_value(value, list(registry.models))}")
        return value, registry.models[value]
    models: dict[str, ModelSpec] = {}
    errors: list[Issue] = []
    name = _name_model(Variant(value, {(): ("model",)}), registry, models, errors) if isinstance(value, dict) else ""
    if name not in models:
        faults = [format_issue(issue, {}) for issue in errors]
        raise WorkloadError("\n".join(faults) or f"model: expected a name or a table, found {value!r:.60}")
    return name, models[name]
