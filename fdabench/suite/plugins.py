"""The plug-ins that suites name, and those of installed packages."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.errors import PluginError, SuiteError
from fdabench.registry.plugin_loading import load_plugins, read_plugin_file
from fdabench.registry.plugin_source import FilePlugin, installed_plugins
from fdabench.registry.registry import Registry
from fdabench.results.suite_lock import LockedPlugin
from fdabench.suite.component_use import check_component_usable
from fdabench.validation.toml_text import KeyPath


class PluginReference(NamedTuple):
    """A plug-in as a suite's file names it: which file, at which place, and what it is called there."""

    suite: Path
    place: str
    path: Path
    line: int


def plugin_files(suite: Path, names: Any, lines: Mapping[KeyPath, int]) -> list[PluginReference]:
    """Of one suite file, relative to it. What is no list of names is somebody else's fault to tell."""
    listed = names if isinstance(names, list) else []
    return [
        PluginReference(suite, f"plugins.{i}", suite.parent / name, lines["plugins", i])
        for i, name in enumerate(listed)
        if isinstance(name, str)
    ]


def load_registry(source: str, named: Sequence[PluginReference]) -> Registry:
    """What is built in, what installed packages add, and what these files add; each file once.

    Raises:
        SuiteError: a plug-in cannot be used; all faults of all of them are in the message.
    """
    faults: list[str] = []
    files: dict[Path, FilePlugin] = {}
    for each in named:
        where = f"{each.suite.as_posix()}:{each.line}: {each.place}"
        try:
            file = read_plugin_file(where, each.path)
            files.setdefault(each.path.resolve(), file)
        except PluginError as error:
            faults += error.faults
    if faults:
        raise SuiteError(source, faults)
    try:
        return load_plugins([*installed_plugins(), *files.values()], check_component_usable)
    except PluginError as error:
        raise SuiteError(source, error.faults) from error


def plugin_notes(registry: Registry) -> list[str]:
    """`plug-in kamp.py adds strategies.kamp`, for each of them."""
    return [f"{_plugin_name(each.origin)} adds {', '.join(each.names)}" for each in registry.plugins]


def _plugin_name(origin: Any) -> str:
    if isinstance(origin, FilePlugin):
        return f"plug-in {origin.path.as_posix()}"
    return f"plug-in {origin.name} of {origin.where}"


def plugins_to_lock(used: Iterable[tuple[str, str]], registry: Registry) -> list[LockedPlugin]:
    """What the frozen suite holds of the plug-ins that add a component in use: what they add, and hashes of their code.

    `used` has the role and name of each component that a cell names.
    """
    return [
        LockedPlugin(name=plugin.origin.name, adds=plugin.names, code=plugin.hashes)
        for plugin in registry.plugins
        if any(registry.find_plugin(role, name) is plugin for role, name in used)
    ]
