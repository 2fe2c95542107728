"""Finds the components that the configurations of cells use, and checks that a suite can describe a component.

The lock file and `fdabench cite` need the components in use. `registry.plugin_loading` calls
`check_component_usable` for each component of a plug-in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from fractions import Fraction
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

from fdabench.cell_config import CellConfig, ComponentConfig
from fdabench.component_info import PART_ROLES, STRATEGY_ROLES, ComponentInfo
from fdabench.hyperparameters import SEED_TAG, STEPS_TAG, THRESHOLD_TAG
from fdabench.registry.component_fields import ComponentField, component_fields
from fdabench.registry.registry import Registry
from fdabench.suite.cell import Cell
from fdabench.suite.components.citations import unknown_references
from fdabench.suite.components.tables import component_choice
from fdabench.suite.schema import STRATEGY_OPTIONS, strategy_table

ROLE_NAMES = (*STRATEGY_ROLES, "optimizers", "schedules", "partitions", "datasets", "models")
INNER_ROLES = (*PART_ROLES, "schedules")
"""Roles of components that are fields of other components."""
PLAIN = (bool, int, float, str)
# the table `runs` has a column for each field of these names, so their types are fixed
NUMBERS, PARTS = ("theta", "period", "alpha", "lr"), ("monitor", "server")


def components_used(config: CellConfig, registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield (role, name) of each component that a cell uses, such as `("strategies", "fda")`."""
    top = (("strategies", config.strategy), ("optimizers", config.optimizer), ("partitions", config.partition))
    for role, component in top:
        yield role, component.kind
        yield from _parts(role, component, registry)
    yield "models", config.model
    yield "datasets", config.dataset


def strategy_components(strategy: ComponentConfig, registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield (role, name) of a strategy and of the components in its fields."""
    yield "strategies", strategy.kind
    yield from _parts("strategies", strategy, registry)


def distinct_components(cells: Iterable[Cell], registry: Registry) -> list[tuple[str, str]]:
    """(role, name) of each component that at least one of the cells uses, in the order of the registry."""
    used = {pair for cell in cells for pair in components_used(cell.config, registry)}
    return [(role, name) for role in ROLE_NAMES for name in getattr(registry, role) if (role, name) in used]


def locked_components(used: Iterable[tuple[str, str]], registry: Registry) -> dict[str, dict[str, ComponentInfo]]:
    """The entries of the lock file for the components in use: the description of each, by role and name."""
    infos: dict[str, dict[str, ComponentInfo]] = {}
    for role, name in used:
        infos.setdefault(role, {})[name] = registry.info(role, name)
    return infos


def _parts(role: str, component: ComponentConfig, registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield (role, name) of the components in the fields of a component, and recursively of those in their fields."""
    for member in component_fields(getattr(registry, role)[component.kind], registry):
        inner = component.component(member.name)
        if inner is not None:
            cls = member.component_classes[inner.kind]
            inner_role = next(name for name in INNER_ROLES if getattr(registry, name).get(inner.kind) is cls)
            yield inner_role, inner.kind
            yield from _parts(inner_role, inner, registry)


def check_component_usable(registry: Registry, role: str, name: str) -> None:
    """Check that a table of a suite can describe a component, and that its references are valid.

    Args:
        registry: contains the component.
        role: a field of `Registry`, such as `"strategies"`.
        name: the name of the component in that role.

    Raises:
        TypeError: a field has a name, a type or a default that no table can have, or a reference is not known.
    """
    if faults := unknown_references(registry.info(role, name)):
        raise TypeError("; ".join(faults))
    if role in ("datasets", "models"):
        return
    cls: type = getattr(registry, role)[name]
    reserved = {"kind", *(STRATEGY_OPTIONS if role == "strategies" else ())}
    for field in fields(cls):
        if field.name in reserved:
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
    """Check the type and the default of one field.

    Raises:
        TypeError: a suite could not give the field, or the tables of results could not contain it.
    """
    field = f"the field {member.name!r}"
    if member.component_classes:
        made = None if member.required or member.default is None else type(member.default)
        if made is not None and (member.default_kind is None or member.default != made()):
            raise TypeError(f"{field}: its default must be one that a plug-in or fdabench adds, made without values")
    elif not (member.has_tag(STEPS_TAG) or member.has_tag(SEED_TAG) or member.has_tag(THRESHOLD_TAG)):
        if not _is_plain(member.type_hint):
            raise TypeError(f"{field}: a suite can give numbers, strings, true and false, not {member.type_hint}")
        if not (member.required or isinstance(member.default, (*PLAIN, NoneType))):
            raise TypeError(f"{field}: its default must be a number, a string, true, false or None")
    if member.name in PARTS and not member.component_classes:
        raise TypeError(
            f"{field}: results take it for a component; give it another name, or the type Monitor or Server"
        )
    if member.name in NUMBERS and _unwrap_optional(member.type_hint) not in (int, float, Fraction):
        raise TypeError(f"{field}: results take it for a number; give it another name, or the type float")


def _unwrap_optional(hint: object) -> object:
    """The type within `Annotated[type, ...]`; other types unchanged."""
    return get_args(hint)[0] if hasattr(hint, "__metadata__") else hint


def _is_plain(hint: object) -> bool:
    """Whether a TOML value can have this type: a number, a string, true or false, or None where the key is absent."""
    bare = _unwrap_optional(hint)
    if get_origin(bare) in (Union, UnionType):
        return all(part is NoneType or _is_plain(part) for part in get_args(bare))
    return bare in PLAIN or (get_origin(bare) is Literal and all(isinstance(arg, PLAIN) for arg in get_args(bare)))
