"""Reads the data sets that a suite describes with a table, and adds them to its registry.

`suite.reader` calls `add_own_data` before it validates the workloads. A table `dataset = { kind = "npz", ... }` becomes
the name of a data set, so the rest of the program sees a data set as any other. The configuration of a cell has the
name; the hash of the content is part of the code hashes of the cell, so the cell is stale if the data have changed.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

from pydantic import Field, ValidationError, create_model

from fdabench.datasets.formats.base import DataError, DataFormat, OpenedData, open_data
from fdabench.hyperparameters import NAME
from fdabench.registry.registry import Registry
from fdabench.suite.component_tables import ComponentTable, make_component_table
from fdabench.suite.expansion import Variant, expand_lists
from fdabench.suite.validation_errors import format_validation_errors
from fdabench.validation.messages import Issue, explain_value, format_names
from fdabench.validation.schema_walk import Keys

Raw = dict[str, Any]
PATH_KEYS = ("path", "test")
"""Keys of a table `dataset` that may be paths, relative to the folder of the suite file."""
NO_KINDS: Keys = {}


class OwnData(NamedTuple):
    """The workloads of a suite with names in place of tables, the registry with these data sets, and the faults."""

    workloads: Any
    registry: Registry
    errors: list[Issue]


class _Named(NamedTuple):
    source: DataFormat
    opened: OpenedData


def resolve_paths(raw: Raw, folder: Path) -> None:
    """Make the paths in the tables `dataset` of a suite relative to the current folder, in place.

    Args:
        raw: the tables of the suite file.
        folder: the folder of the suite file.
    """
    workloads = raw.get("workload")
    for workload in workloads if isinstance(workloads, list) else []:
        dataset = workload.get("dataset") if isinstance(workload, dict) else None
        for table in dataset if isinstance(dataset, list) else [dataset]:
            if isinstance(table, dict):
                table |= {key: _resolved(table[key], folder) for key in PATH_KEYS if key in table}


def _resolved(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_resolved(entry, folder) for entry in value]
    return (folder / value).as_posix() if isinstance(value, str) and value else value


def add_own_data(workloads: Any, registry: Registry) -> OwnData:
    """Read the data sets that workloads describe with a table.

    Args:
        workloads: the value of the key `workload` in the suite file, of any type.
        registry: the data formats, and the data sets that a suite may name.
    """
    if not isinstance(workloads, list):
        return OwnData(workloads, registry, [])
    named: dict[str, _Named] = {}
    errors: list[Issue] = []
    replaced = []
    for i, workload in enumerate(workloads):
        if isinstance(workload, dict) and _has_table(workload.get("dataset")):
            place = ("workload", i, "dataset")
            names = [
                _name_of(variant, registry, named, errors) if isinstance(variant.value, dict) else variant.value
                for variant in expand_lists(workload["dataset"], place)
            ]
            workload = {**workload, "dataset": names[0] if len(names) == 1 else names}
        replaced.append(workload)
    if not named:
        return OwnData(replaced, registry, errors)
    datasets = {**registry.datasets, **{name: own.opened.spec for name, own in named.items()}}
    hashes = {**registry.data_hashes, **{name: own.opened.content for name, own in named.items()}}
    return OwnData(replaced, replace(registry, datasets=datasets, data_hashes=hashes), errors)


def _has_table(dataset: Any) -> bool:
    return isinstance(dataset, dict) or (isinstance(dataset, list) and any(isinstance(each, dict) for each in dataset))


def _name_of(variant: Variant, registry: Registry, named: dict[str, _Named], errors: list[Issue]) -> str:
    """Read one data set and add it to `named`, or its faults to `errors`; returns its name."""
    place, table = variant.locations[()], variant.value
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in registry.formats:
        known = registry.formats
        said = f"kind is missing; allowed: {format_names(known)}" if kind is None else explain_value(kind, list(known))
        errors.append(Issue((*place, "kind") if kind is not None else place, said))
        return ""
    model = dataset_table(kind, registry)
    try:
        values = model.model_validate(table).model_dump(exclude_none=True)
    except ValidationError as error:
        errors += format_validation_errors(error, table, model, variant.locations, NO_KINDS)
        return ""
    given = values.pop("alias", None)
    source = registry.formats[values.pop("kind")](**values)
    name = given or default_name(source)
    if name in registry.datasets:
        said = f'"{name}" is a data set that fdabench or a plug-in adds; give this one another alias'
        errors.append(Issue((*place, "alias"), said))
        return ""
    if name in named and named[name].source != source:
        said = f'another data set of this suite has the name "{name}"; give this one another alias'
        errors.append(Issue((*place, "alias"), said))
        return ""
    if name not in named:
        try:
            named[name] = _Named(source, open_data(source, name))
        except DataError as error:
            places = variant.locations
            errors += [Issue(places.get((fault.key,), (*place, fault.key)), fault.message) for fault in error.faults]
            return ""
    return name


def default_name(source: DataFormat) -> str:
    """The name of a data set whose table has no `alias`: `own-` and the stem of its path, such as `own-femnist`."""
    stem = getattr(source, "name", Path(source.path).stem)
    return f"own-{re.sub(r'[^A-Za-z0-9._-]+', '-', stem).strip('-.') or 'data'}"[:64]


def dataset_table(kind: str, registry: Registry) -> type[ComponentTable]:
    """Create the pydantic model of the table `dataset` of one format, including the key `alias`."""
    own = make_component_table(kind, registry.formats[kind], registry)
    alias = (Annotated[str, Field(pattern=f"^{NAME}$")] | None, None)
    made = create_model(own.__name__, __base__=own, __doc__=own.__doc__, alias=alias)
    return cast(type[ComponentTable], made)
