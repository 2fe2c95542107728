"""Which components a cell's configuration names, by role and name; and whether a plug-in's can be named at all."""

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from fractions import Fraction
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from fdabench.cell_config import CellConfig, ComponentConfig
from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import SEED_TAG, STEPS_TAG, THRESHOLD_TAG
from fdabench.registry.component_fields import ComponentField, component_fields
from fdabench.registry.registry import Registry
from fdabench.suite.cell import Cell
from fdabench.suite.citations import unknown_references
from fdabench.suite.component_tables import component_choice
from fdabench.suite.schema import STRATEGY_OPTIONS, strategy_table

ROLE_NAMES = ("strategies", "monitors", "servers", "optimizers", "schedules", "partitions", "datasets", "models")
INNER_ROLES = ("monitors", "servers", "schedules")
"""Roles of components that are fields of others."""
PLAIN = (bool, int, float, str)
# columns of `runs` are read from fields of these names
NUMBERS, PARTS = ("theta", "period", "alpha", "lr"), ("monitor", "server")


def components_used(config: CellConfig, registry: Registry) -> Iterator[tuple[str, str]]:
    """(role, name) of everything that a cell names, as `("strategies", "fda")`."""
    top = (("strategies", config.strategy), ("optimizers", config.optimizer), ("partitions", config.partition))
    for role, component in top:
        yield role, component.kind
        yield from _parts(role, component, registry)
    yield "models", config.model
    yield "datasets", config.dataset


def distinct_components(cells: Iterable[Cell], registry: Registry) -> list[tuple[str, str]]:
    """(role, name) of everything that any of the cells names, in the order of the registry."""
    used = {pair for cell in cells for pair in components_used(cell.config, registry)}
    return [(role, name) for role in ROLE_NAMES for name in getattr(registry, role) if (role, name) in used]


def locked_components(used: Iterable[tuple[str, str]], registry: Registry) -> dict[str, dict[str, ComponentInfo]]:
    """What the frozen suite holds of the components in use: by role and name, what each declares about itself."""
    found: dict[str, dict[str, ComponentInfo]] = {}
    for role, name in used:
        found.setdefault(role, {})[name] = registry.info(role, name)
    return found


def _parts(role: str, component: ComponentConfig, registry: Registry) -> Iterator[tuple[str, str]]:
    """What a component's fields name, and what theirs do."""
    for member in component_fields(getattr(registry, role)[component.kind], registry):
        inner = component.component(member.name)
        if inner is not None:
            cls = member.component_classes[inner.kind]
            inner_role = next(name for name in INNER_ROLES if getattr(registry, name).get(inner.kind) is cls)
            yield inner_role, inner.kind
            yield from _parts(inner_role, inner, registry)


def check_component_usable(registry: Registry, role: str, name: str) -> None:
    """
    Raises:
        TypeError: no suite could give this component's fields, or it cites what is in no bibliography.
    """
    if faults := unknown_references(registry.info(role, name)):
        raise TypeError("; ".join(faults))
    if role in ("datasets", "models"):
        return
    cls: type[Any] = getattr(registry, role)[name]
    taken = {"kind", *(STRATEGY_OPTIONS if role == "strategies" else ())}
    for field in fields(cls):
        if field.name in taken:
            raise TypeError(f"the field {field.name!r} is a key that the suite's table has already")
        if field.name.startswith("_"):
            raise TypeError(f"the field {field.name!r} begins with '_', which no key of a suite does")
        if field.default_factory is not MISSING or not field.init:
            raise TypeError(f"the field {field.name!r} needs a plain default, or none")
    for member in component_fields(cls, registry):
        _check_member(member)
    if role == "strategies":
        strategy_table(name, registry)
    component_choice({name: cls}, registry)


def _check_member(member: ComponentField) -> None:
    said = f"the field {member.name!r}"
    if member.component_classes:
        made = None if member.required or member.default is None else type(member.default)
        if made is not None and (member.default_kind is None or member.default != made()):
            raise TypeError(f"{said}: its default must be one that a plug-in or fdabench adds, made without values")
    elif not (member.has_tag(STEPS_TAG) or member.has_tag(SEED_TAG) or member.has_tag(THRESHOLD_TAG)):
        if not _is_plain(member.type_hint):
            raise TypeError(f"{said}: a suite can give numbers, strings, true and false, not {member.type_hint}")
        if not (member.required or isinstance(member.default, (*PLAIN, NoneType))):
            raise TypeError(f"{said}: its default must be a number, a string, true, false or None")
    if member.name in PARTS and not member.component_classes:
        raise TypeError(f"{said}: results take it for a component; give it another name, or the type Monitor or Server")
    if member.name in NUMBERS and _unwrap_optional(member.type_hint) not in (int, float, Fraction):
        raise TypeError(f"{said}: results take it for a number; give it another name, or the type float")


def _unwrap_optional(hint: Any) -> Any:
    return get_args(hint)[0] if hasattr(hint, "__metadata__") else hint


def _is_plain(hint: Any) -> bool:
    bare = _unwrap_optional(hint)
    if get_origin(bare) in (Union, UnionType):
        return all(part is NoneType or _is_plain(part) for part in get_args(bare))
    return bare in PLAIN or (get_origin(bare) is Literal and all(isinstance(each, PLAIN) for each in get_args(bare)))
