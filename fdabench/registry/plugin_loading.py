"""Imports plug-ins, checks their components, and creates a registry of these and the built-in components.

`suite.plugins` loads the plug-ins of a suite, and worker processes load them again from `PackedPlugins`. Two components
of the same role cannot have the same name.
"""

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.component_info import STRATEGY_ROLES, info_of
from fdabench.datasets.availability import ClientIntervals
from fdabench.datasets.base import DatasetSpec
from fdabench.errors import PluginError
from fdabench.models.base import ModelSpec
from fdabench.registry.call_checks import check_calls
from fdabench.registry.plugin_checks import ROLES, PluginIssue, declaration_lines, find_line, read_declarations
from fdabench.registry.plugin_errors import find_user_line, is_raised_by
from fdabench.registry.plugin_source import MOST_BYTES, FilePlugin, PluginSource
from fdabench.registry.registry import BUILT_IN, Plugin, Registry
from fdabench.regular_files import open_regular

# matches URLs; `Path` has reduced their `//` to one slash
_ADDRESS = re.compile(r"(.*/)?[A-Za-z][A-Za-z0-9+.-]+:/")

UsabilityCheck = Callable[[Registry, str, str], None]


class _ImportResult(NamedTuple):
    plugin: Plugin | None
    faults: list[str]


class PackedPlugins(NamedTuple):
    """A registry in a form that can be pickled.

    Classes of plug-ins cannot be pickled, because other processes cannot import their modules by name. Each process
    imports the plug-ins itself.
    """

    origins: tuple[PluginSource, ...] = ()
    data_hashes: Mapping[str, str] = {}
    own_datasets: Mapping[str, DatasetSpec] = {}
    """The data sets that a suite describes with a table, by name."""
    own_models: Mapping[str, ModelSpec] = {}
    """The models that a suite describes with a table, by name."""
    availability: Mapping[str, ClientIntervals] = {}
    """The traces of availability that a suite names."""

    def unpack(self) -> Registry:
        """Load the plug-ins in this process.

        Raises:
            PluginError: as `load_plugins`.
        """
        loaded = load_plugins(self.origins)
        datasets, models = {**loaded.datasets, **self.own_datasets}, {**loaded.models, **self.own_models}
        return replace(
            loaded,
            data_hashes=self.data_hashes,
            datasets=datasets,
            models=models,
            availability=self.availability,
        )


def pack_plugins(registry: Registry) -> PackedPlugins:
    """Create the form of a registry that can be sent to another process."""
    origins = tuple(plugin.origin for plugin in registry.plugins)
    datasets = {name: registry.datasets[name] for name in _from_tables("datasets", registry)}
    models = {name: registry.models[name] for name in _from_tables("models", registry)}
    return PackedPlugins(origins, registry.data_hashes, datasets, models, registry.availability)


def _from_tables(role: str, registry: Registry) -> list[str]:
    """The names of the components that are neither built in nor of a plug-in: a suite describes them with a table."""
    added = [name for name in getattr(registry, role) if name not in getattr(BUILT_IN, role)]
    return [name for name in added if registry.find_plugin(role, name) is None]


def read_plugin_file(declared_in: str, path: Path) -> FilePlugin:
    """Read the file of a plug-in without running it.

    Args:
        declared_in: the place that names the plug-in, such as `suite.toml:3: plugins.0`.
        path: the file.

    Raises:
        PluginError: the file is missing, cannot be read, is larger than `MOST_BYTES`, or has no name that ends in
            `.py`.
    """
    prefix = f"{declared_in}: {path.as_posix()!r}"
    if _ADDRESS.match(path.as_posix()) or path.suffix != ".py" or not path.name.isprintable():
        raise PluginError([f"{prefix}: expected the path of a Python file, as in plugins = ['my_strategy.py']"])
    try:
        if not path.is_file():
            raise PluginError([f"{prefix}: there is no such file"])
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise PluginError([f"{prefix}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from error
    if len(content) > MOST_BYTES:
        raise PluginError([f"{prefix}: larger than {MOST_BYTES:,} bytes; expected a file of Python"])
    return FilePlugin(declared_in, path, content)


def load_plugins(
    origins: Sequence[PluginSource], trial: UsabilityCheck = lambda registry, role, name: None
) -> Registry:
    """Import plug-ins and create a registry of the built-in components and theirs.

    Args:
        origins: the plug-ins.
        trial: called with the registry, the role and the name of each component that they add; it raises if a suite
            could not use the component. Default: no check.

    Raises:
        PluginError: a plug-in cannot be used. The message contains all errors, with the plug-in's file and line.
    """
    if not origins:
        return BUILT_IN
    loaded = [_import_one(origin) for origin in origins]
    plugins = tuple(import_result.plugin for import_result in loaded if import_result.plugin is not None)
    added = {
        role.registry_field: _with(getattr(BUILT_IN, role.registry_field), plugins, role.registry_field)
        for role in ROLES
    }
    registry = replace(BUILT_IN, plugins=plugins, **added)
    faults = [fault for import_result in loaded for fault in import_result.faults]
    faults += [
        *_clashes(plugins),
        *(fault for plugin in plugins for fault in _unusable_issues(registry, plugin, trial)),
    ]
    if faults:
        raise PluginError(faults)
    for plugin in plugins:
        check_calls(plugin.components)
    return registry


def _with(built_in: Mapping[str, Any], plugins: Sequence[Plugin], role: str) -> dict[str, Any]:
    return {
        **built_in,
        **{name: component for plugin in plugins for name, component in plugin.components.get(role, {}).items()},
    }


def _import_one(origin: PluginSource) -> _ImportResult:
    """Import one plug-in. Any exception during the import, also that of `sys.exit`, is an error of the plug-in."""
    try:
        module = origin.import_plugin()
        sources = origin.source_files(module)
    except BaseException as error:
        if not is_raised_by(error, origin.path):
            raise
        text = traceback.format_exception_only(error)[-1].strip()
        return _ImportResult(None, [_format_issues(origin, find_user_line(error, origin.path), text)])
    path = origin.path
    main = origin.content if isinstance(origin, FilePlugin) else path.read_bytes()
    adds, faults = read_declarations(module, main)
    plugin = Plugin(origin, adds, sources) if adds else None
    return _ImportResult(plugin, [_format_issues(origin, *fault) for fault in faults])


def _format_issues(origin: PluginSource, line: int | None, what: str) -> str:
    at = f":{line}" if line else ""
    return f"{origin.declared_in}: {origin.path.as_posix()}{at}: {what}"


def _clashes(plugins: Sequence[Plugin]) -> list[str]:
    """The errors about names and files that two plug-ins, or a plug-in and fdabench, have in common."""
    faults = []
    # names that differ only in case are not allowed: they are easily confused, and some file systems ignore case
    owners = {
        (role.registry_field, name.casefold()): f"{name!r} is built in"
        for role in ROLES
        for name in getattr(BUILT_IN, role.registry_field)
    }
    # labels contain these display names, and a figure draws strategies with the same label as one line
    names = {
        (role, name.casefold()): f"the name of the built-in {kind!r}"
        for role in STRATEGY_ROLES
        for kind, component in getattr(BUILT_IN, role).items()
        if (name := info_of(component).label or info_of(component).name)
    }
    files: dict[str, str] = {}
    for plugin in plugins:
        for file in plugin.sources:
            if file in files:
                faults.append(
                    _format_issues(plugin.origin, None, f"another {file} is {files[file]}: rename one of them")
                )
            files[file] = plugin.origin.path.as_posix()
        for role, name, line in _places(plugin):
            if other := owners.get((role, name.casefold())):
                faults.append(_format_issues(plugin.origin, line, f"{name!r} is taken: of the {role}, {other}"))
            owners[role, name.casefold()] = f"{name!r} is added by {plugin.origin.path.as_posix()}:{line}"
            info = info_of(plugin.components[role][name])
            label = (info.label or info.name) if role in STRATEGY_ROLES else ""
            if label and (other := names.get((role, label.casefold()))):
                faults.append(
                    _format_issues(plugin.origin, line, f"{name!r}: its name {label!r} is taken: it is {other}")
                )
            names[role, label.casefold()] = f"the name of {name!r} of {plugin.origin.path.as_posix()}:{line}"
    return faults


def location_of(plugin: Plugin, role: str, name: str) -> str:
    """The file and line where a plug-in declares a component, such as `mine.py:28`."""
    lines = [line for found_role, found_name, line in _places(plugin) if (found_role, found_name) == (role, name)]
    return ":".join([plugin.origin.path.as_posix(), *map(str, lines)])


def _places(plugin: Plugin) -> Iterable[tuple[str, str, int]]:
    """Yield (role, name, line) of each component that a plug-in declares."""
    origin = plugin.origin
    lines = declaration_lines(origin.content if isinstance(origin, FilePlugin) else origin.path.read_bytes())
    for role in ROLES:
        for name in plugin.components.get(role.registry_field, {}):
            yield role.registry_field, name, find_line(lines, role, name)


def _unusable_issues(registry: Registry, plugin: Plugin, trial: UsabilityCheck) -> list[str]:
    faults = []
    for role, name, line in _places(plugin):
        try:
            trial(registry, role, name)
        except Exception as error:
            # for example an annotation with an undefined name, or a type that a suite cannot express
            faults.append(_format_issues(plugin.origin, *PluginIssue(line, f"{name}: {error}")))
    return faults
