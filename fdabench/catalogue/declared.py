"""What a plug-in declares: mappings named as the package's own registries, checked before anybody uses them."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from string import Formatter
from types import ModuleType
from typing import Any, NamedTuple

from fdabench.component_info import ComponentInfo, info_of
from fdabench.core.monitor import Monitor
from fdabench.core.strategy import Server, Strategy
from fdabench.datasets.base import Source
from fdabench.datasets.checks import KNOWN
from fdabench.datasets.files import FileSource
from fdabench.errors import nearest
from fdabench.fields import NAME
from fdabench.models.base import Architecture
from fdabench.optimizers.base import LocalOptimizer
from fdabench.partition.base import Partition


class Role(NamedTuple):
    """A part that components play. `needs` are methods, which take what those of `protocol` take."""

    mapping: str
    field: str
    one: str
    protocol: type[Any]
    needs: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


ROLES = (
    Role("STRATEGIES", "strategies", "strategy", Strategy, ("init", "step")),
    Role("MONITORS", "monitors", "monitor", Monitor, ("size", "state", "bound")),
    Role("SERVERS", "servers", "server", Server, ("init", "apply"), ("averages",)),
    Role("OPTIMIZERS", "optimizers", "optimizer", LocalOptimizer, ("build",), ("at_sync",)),
    Role("PARTITIONS", "partitions", "partition", Partition, ("split",)),
    Role("DATASETS", "datasets", "data set", Source),
    Role("MODELS", "models", "model", Architecture),
)


class Fault(NamedTuple):
    """What is wrong, and the line of the plug-in's file where it stands."""

    line: int
    what: str


def declared(module: ModuleType, source: bytes) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """Components by role and name, and every fault that can be seen without making one.

    A component that has one is left out, so that what remains can be looked at further.
    """
    lines = lines_of(source)
    mappings = {role: getattr(module, role.mapping) for role in ROLES if hasattr(module, role.mapping)}
    if not mappings:
        return {}, [_nothing(module)]
    adds: dict[str, dict[str, Any]] = {}
    faults = []
    for role, found in mappings.items():
        if not isinstance(found, Mapping) or not found:
            faults.append(Fault(lines.get((role.mapping, None), 1), f"{role.mapping} must be a dict with a name in it"))
            continue
        adds[role.field] = {}
        for name, component in found.items():
            wrong = [Fault(line_of(lines, role, name), what) for what in _component_faults(role, name, component)]
            faults += wrong
            if not wrong:
                adds[role.field][name] = component
    return adds, faults


def line_of(lines: Mapping[tuple[str, Any], int], role: Role, name: Any) -> int:
    """Where a name stands, or else its mapping."""
    return lines.get((role.mapping, name), lines.get((role.mapping, None), 1))


def lines_of(source: bytes) -> dict[tuple[str, Any], int]:
    """The line of each mapping (name None) and of each name in it that is written out."""
    found: dict[tuple[str, Any], int] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                found[target.id, None] = node.lineno
                keys = node.value.keys if isinstance(node.value, ast.Dict) else []
                found |= {(target.id, key.value): key.lineno for key in keys if isinstance(key, ast.Constant)}
    return found


def _nothing(module: ModuleType) -> Fault:
    known = [role.mapping for role in ROLES]
    near = next((hint for name in vars(module) if name.isupper() and (hint := nearest(name, known))), "")
    return Fault(1, f'adds nothing: expected STRATEGIES = {{"name": Class}}, or {", ".join(known[1:])}{near}')


def _component_faults(role: Role, name: Any, component: Any) -> Iterator[str]:
    said = f"{role.mapping}[{name!r:.80}]"
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        yield f"{said}: a name has only letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit"
    elif not role.needs:
        yield from (f"{said}: {fault}" for fault in _value_faults(role, component))
    else:
        yield from (f"{said}: {fault}" for fault in _class_faults(role, component))


def _value_faults(role: Role, component: Any) -> Iterator[str]:
    if not isinstance(component, role.protocol):
        kind = f"{role.protocol.__module__}.{role.protocol.__name__}"
        yield f"a {role.one} is a {kind}, found {type(component).__name__}"
    elif isinstance(component, Source):
        shape = component.shape if isinstance(component.shape, tuple | list) else (component.shape,)
        numbers = (component.train_samples, component.classes, *shape)
        if not all(isinstance(number, int) and 0 < number < 2**31 for number in numbers):
            yield "train_samples, classes and shape must be whole numbers above 0"
        elif not isinstance(component.shape, tuple) or len(shape) != 3:
            yield f"shape must be (channels, height, width); it is {component.shape!r:.80}. {KNOWN}"
        if not callable(component.load):
            yield "load must be a function of a folder"
        if isinstance(component, FileSource):
            yield from _files_faults(component.files)
        yield from _info_faults(component)
    elif not callable(component.build):
        yield "build must be a function of a shape and a number of classes"
    else:
        yield from _info_faults(component)


def _info_faults(component: Source | Architecture) -> Iterator[str]:
    if not isinstance(component.info, ComponentInfo):
        yield f"info must be a fdabench.component_info.ComponentInfo; it is {component.info!r:.80}"


def _files_faults(files: Any) -> Iterator[str]:
    if not isinstance(files, tuple | list) or not files or not all(isinstance(file, str | Path) for file in files):
        yield f"files must be paths, at least one; it is {files!r:.80}"


def _class_faults(role: Role, component: Any) -> Iterator[str]:
    if not isinstance(component, type) or not is_dataclass(component):
        found = component.__name__ if isinstance(component, type) else f"a {type(component).__name__}"
        yield f"a {role.one} is a frozen dataclass; {found} is none"
        return
    names = [field.name for field in fields(component)]
    if not component.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        yield f"{component.__name__} is a dataclass that is not frozen: write @dataclass(frozen=True)"
    if not isinstance(getattr(component, "info", ComponentInfo()), ComponentInfo) or "info" in names:
        yield (
            f"{component.__name__}.info is the component's description: give a field another name, and write "
            "info: ClassVar[ComponentInfo] = ComponentInfo(...) for a description"
        )
    if faults := [f"{{{key}}}" for key in _label_keys(component) if key not in names]:
        yield f"{component.__name__}.info.label names {', '.join(faults)}, which is no field of it"
    for method in role.needs:
        yield from _method_faults(role, component, method)
    for attribute in role.attributes:
        if not hasattr(component, attribute) and attribute not in component.__dataclass_fields__:
            yield f"{component.__name__} lacks {attribute}, which every {role.one} has"


def _label_keys(component: type[Any]) -> list[str]:
    """The fields that the label of a strategy's description names in braces."""
    try:
        parts = [key for _, key, _, _ in Formatter().parse(info_of(component).label)]
    except ValueError:
        return [info_of(component).label]
    return [key for key in parts if key is not None]


def _method_faults(role: Role, component: type[Any], name: str) -> Iterator[str]:
    method = getattr(component, name, None)
    wanted = inspect.signature(getattr(role.protocol, name))
    if not callable(method):
        yield f"{component.__name__} lacks {name}{wanted}"
        return
    try:
        inspect.signature(method).bind(*wanted.parameters)
    except TypeError:
        yield f"{component.__name__}.{name}{inspect.signature(method)} should be {name}{wanted}"
    except ValueError:
        return  # made of something that has no signature to look at
