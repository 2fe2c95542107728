"""Reads and checks the declarations of a plug-in: dicts of components that are named `STRATEGIES`, `MODELS`, ...

The names are those of the built-in dicts. `registry.plugin_loading` calls it once the module is imported.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from string import Formatter
from types import ModuleType
from typing import Any, NamedTuple, get_args

from fdabench.component_info import ComponentInfo, info_of
from fdabench.core.codec import Codec
from fdabench.core.monitor import Monitor
from fdabench.core.strategy import Correction, ServerOptimizer, Strategy
from fdabench.core.trigger import Trigger
from fdabench.datasets.base import DatasetSpec
from fdabench.datasets.checks import SUPPORTED
from fdabench.datasets.files import FileBackedDatasetSpec
from fdabench.errors import did_you_mean
from fdabench.hyperparameters import NAME
from fdabench.models.base import ModelSpec
from fdabench.optimizers.base import LocalOptimizer, LRSchedule
from fdabench.partitions.base import Partition
from fdabench.shared_types import Task


class ComponentRole(NamedTuple):
    """A role of components, and what a component of a plug-in must have in this role.

    Args:
        variable: the name of the dict in the plug-in's module.
        registry_field: the field of `Registry`.
        singular: the name of one component in messages.
        protocol: the protocol of the role; for data sets and models, which are values, their class.
        required_methods: methods that must accept the parameters of the protocol's methods; empty for values.
        required_attributes: attributes or fields that the class must have.
    """

    variable: str
    registry_field: str
    singular: str
    protocol: type[Any]
    required_methods: tuple[str, ...] = ()
    required_attributes: tuple[str, ...] = ()


ROLES = (
    ComponentRole("STRATEGIES", "strategies", "strategy", Strategy, ("init", "step")),
    ComponentRole("MONITORS", "monitors", "monitor", Monitor, ("state_size", "local_state", "variance_bound")),
    ComponentRole("SERVERS", "servers", "server", ServerOptimizer, ("init", "update"), ("is_plain_average",)),
    ComponentRole("TRIGGERS", "triggers", "trigger", Trigger, ("init", "check", "forecast_traffic")),
    ComponentRole("CODECS", "codecs", "codec", Codec, ("message_size", "pack", "unpack"), ("reply", "needs_feedback")),
    ComponentRole(
        "CORRECTIONS",
        "corrections",
        "correction",
        Correction,
        ("init", "correct", "end_round", "forecast_means"),
        ("worker_state",),
    ),
    ComponentRole("OPTIMIZERS", "optimizers", "optimizer", LocalOptimizer, ("build",), ("state_on_sync",)),
    ComponentRole("SCHEDULES", "schedules", "schedule", LRSchedule, ("factor",)),
    ComponentRole("PARTITIONS", "partitions", "partition", Partition, ("split",)),
    ComponentRole("DATASETS", "datasets", "data set", DatasetSpec),
    ComponentRole("MODELS", "models", "model", ModelSpec),
)


_AXES: Mapping[Task, tuple[str, ...]] = {"classification": ("channels", "height", "width"), "next-token": ("length",)}
"""The axes of one input of a data set for each task."""


class PluginIssue(NamedTuple):
    """An error in a plug-in, and its line in the plug-in's file."""

    line: int
    what: str


def read_declarations(module: ModuleType, source: bytes) -> tuple[dict[str, dict[str, object]], list[PluginIssue]]:
    """Read the components that a plug-in declares and check them without creating an instance.

    Args:
        module: the imported module of the plug-in.
        source: its source code, in which the lines of errors are looked up.

    Returns:
        The components without errors, by role and name, and all errors. The components are returned although others
        have errors, so that the caller can check them further and report everything at once.
    """
    lines = declaration_lines(source)
    mappings = {role: getattr(module, role.variable) for role in ROLES if hasattr(module, role.variable)}
    if not mappings:
        return {}, [_nothing_declared(module)]
    adds: dict[str, dict[str, object]] = {}
    faults = []
    for role, components in mappings.items():
        if not isinstance(components, Mapping) or not components:
            faults.append(
                PluginIssue(lines.get((role.variable, None), 1), f"{role.variable} must be a dict with a name in it")
            )
            continue
        adds[role.registry_field] = {}
        for name, component in components.items():
            wrong = [
                PluginIssue(find_line(lines, role, name), what) for what in _component_issues(role, name, component)
            ]
            faults += wrong
            if not wrong:
                adds[role.registry_field][name] = component
    return adds, faults


def find_line(lines: Mapping[tuple[str, object], int], role: ComponentRole, name: object) -> int:
    """The line that declares a component; if it is unknown, the line of the dict; otherwise 1.

    Args:
        lines: as `declaration_lines` returns them.
        role: the role of the component.
        name: the key of the component in the dict.
    """
    return lines.get((role.variable, name), lines.get((role.variable, None), 1))


def declaration_lines(source: bytes) -> dict[tuple[str, object], int]:
    """The lines of top-level assignments, by (variable, None), and of the literal keys of dicts, by (variable, key).

    >>> declaration_lines(b'STRATEGIES = {\\n    "mine": Mine,\\n}')
    {('STRATEGIES', None): 1, ('STRATEGIES', 'mine'): 2}
    """
    lines: dict[tuple[str, object], int] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                lines[target.id, None] = node.lineno
                keys = node.value.keys if isinstance(node.value, ast.Dict) else []
                lines |= {(target.id, key.value): key.lineno for key in keys if isinstance(key, ast.Constant)}
    return lines


def _nothing_declared(module: ModuleType) -> PluginIssue:
    variables = [role.variable for role in ROLES]
    near = next((hint for name in vars(module) if name.isupper() and (hint := did_you_mean(name, variables))), "")
    return PluginIssue(1, f'adds nothing: expected STRATEGIES = {{"name": Class}}, or {", ".join(variables[1:])}{near}')


def _component_issues(role: ComponentRole, name: object, component: object) -> Iterator[str]:
    prefix = f"{role.variable}[{name!r:.80}]"
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        yield (
            f"{prefix}: a name has only letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit"
        )
    elif not role.required_methods:
        yield from (f"{prefix}: {fault}" for fault in _value_issues(role, component))
    else:
        yield from (f"{prefix}: {fault}" for fault in _class_issues(role, component))


def _value_issues(role: ComponentRole, component: object) -> Iterator[str]:
    """Yield the errors of a data set or a model, which is a value and not a class."""
    if not isinstance(component, role.protocol):
        kind = f"{role.protocol.__module__}.{role.protocol.__name__}"
        yield f"a {role.singular} is a {kind}, found {type(component).__name__}"
    elif isinstance(component, DatasetSpec):
        shape = component.shape if isinstance(component.shape, tuple | list) else (component.shape,)
        numbers = (component.train_samples, component.classes, *shape)
        if not all(isinstance(number, int) and 0 < number < 2**31 for number in numbers):
            yield "train_samples, classes and shape must be whole numbers above 0"
        elif component.task not in get_args(Task):
            yield f"task must be one of {', '.join(map(repr, get_args(Task)))}; it is {component.task!r:.80}"
        elif not isinstance(component.shape, tuple) or len(shape) != len(_AXES[component.task]):
            axes = ", ".join(_AXES[component.task])
            yield f"shape must be ({axes}); it is {component.shape!r:.80}. {SUPPORTED}"
        if not callable(component.load):
            yield "load must be a function of a folder"
        if isinstance(component, FileBackedDatasetSpec):
            yield from _file_issues(component.files)
        yield from _info_faults(component)
    elif not callable(component.build):
        yield "build must be a function of a shape and a number of classes"
    else:
        yield from _info_faults(component)


def _info_faults(component: DatasetSpec | ModelSpec) -> Iterator[str]:
    if not isinstance(component.info, ComponentInfo):
        yield f"info must be a fdabench.component_info.ComponentInfo; it is {component.info!r:.80}"


def _file_issues(files: object) -> Iterator[str]:
    if not isinstance(files, tuple | list) or not files or not all(isinstance(file, str | Path) for file in files):
        yield f"files must be paths, at least one; it is {files!r:.80}"


def _class_issues(role: ComponentRole, component: object) -> Iterator[str]:
    """Yield the errors of the class of a component: not a frozen dataclass, or without a required method."""
    if not isinstance(component, type) or not is_dataclass(component):
        text = component.__name__ if isinstance(component, type) else f"a {type(component).__name__}"
        yield f"a {role.singular} is a frozen dataclass; {text} is none"
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
    for method in role.required_methods:
        yield from _method_issues(role, component, method)
    for attribute in role.required_attributes:
        if not hasattr(component, attribute) and attribute not in component.__dataclass_fields__:
            yield f"{component.__name__} lacks {attribute}, which every {role.singular} has"


def _label_keys(component: type) -> list[str]:
    """The names in braces in the label of a component's description; the whole label if its format is invalid."""
    try:
        parts = [key for _, key, _, _ in Formatter().parse(info_of(component).label)]
    except ValueError:
        return [info_of(component).label]
    return [key for key in parts if key is not None]


def _method_issues(role: ComponentRole, component: type, name: str) -> Iterator[str]:
    """Yield an error if a method is missing or does not accept the parameters of the protocol's method."""
    method = getattr(component, name, None)
    expected = inspect.signature(getattr(role.protocol, name))
    if not callable(method):
        yield f"{component.__name__} lacks {name}{expected}"
        return
    try:
        inspect.signature(method).bind(*expected.parameters)
    except TypeError:
        yield f"{component.__name__}.{name}{inspect.signature(method)} should be {name}{expected}"
    except ValueError:
        return  # inspect finds no signature, for example of a function written in C
