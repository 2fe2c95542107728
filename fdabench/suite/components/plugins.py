"""Loads the plug-ins that a suite names and those of installed packages, and records them in the lock file.

`suite.reader` calls it before it validates the tables of a suite.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.errors import PluginError, SuiteError
from fdabench.registry.plugin_loading import load_plugins, read_plugin_file
from fdabench.registry.plugin_source import FilePlugin, installed_plugins
from fdabench.registry.registry import Registry
from fdabench.results.suite_lock import LockedPlugin
from fdabench.suite.components.use import check_component_usable
from fdabench.validation.toml_text import KeyPath


class PluginReference(NamedTuple):
    """An entry of the key `plugins` of a suite file.

    Args:
        suite: the suite file.
        place: the path of the entry in it, such as `plugins.0`.
        path: the file of the plug-in.
        line: the line of the entry in the suite file.
    """

    suite: Path
    place: str
    path: Path
    line: int


def plugin_files(suite: Path, names: object, lines: Mapping[KeyPath, int]) -> list[PluginReference]:
    """The plug-ins that one suite file names.

    Values of the wrong type are skipped, because the validation of `Suite` reports them.

    Args:
        suite: the suite file. Paths of plug-ins are relative to its folder.
        names: the value of its key `plugins`.
        lines: the line of each key in the file.
    """
    entries = names if isinstance(names, list) else []
    return [
        PluginReference(suite, f"plugins.{i}", suite.parent / name, lines["plugins", i])
        for i, name in enumerate(entries)
        if isinstance(name, str)
    ]


def load_registry(source: str, references: Sequence[PluginReference]) -> Registry:
    """Create the registry of the built-in components, those of installed packages and those of the given files.

    Args:
        source: the name of the suite in the error message.
        references: the files to load. A file that is named twice is loaded once.

    Raises:
        SuiteError: a plug-in cannot be used. The message contains all errors of all plug-ins.
    """
    faults: list[str] = []
    files: dict[Path, FilePlugin] = {}
    for reference in references:
        declared_in = f"{reference.suite.as_posix()}:{reference.line}: {reference.place}"
        try:
            file = read_plugin_file(declared_in, reference.path)
            files.setdefault(reference.path.resolve(), file)
        except PluginError as error:
            faults += error.faults
    if faults:
        raise SuiteError(source, faults)
    try:
        return load_plugins([*installed_plugins(), *files.values()], check_component_usable)
    except PluginError as error:
        raise SuiteError(source, error.faults) from error


def plugin_notes(registry: Registry) -> list[str]:
    """One note for each plug-in, such as `plug-in kamp.py adds strategies.kamp`."""
    return [f"{_plugin_name(plugin.origin)} adds {', '.join(plugin.names)}" for plugin in registry.plugins]


def _plugin_name(origin: Any) -> str:
    if isinstance(origin, FilePlugin):
        return f"plug-in {origin.path.as_posix()}"
    return f"plug-in {origin.name} of {origin.declared_in}"


def plugins_to_lock(used: Iterable[tuple[str, str]], registry: Registry) -> list[LockedPlugin]:
    """The entries of the lock file for the plug-ins that add a component in use.

    An entry has the name of the plug-in, the components that it adds, and the hashes of its code.

    Args:
        used: (role, name) of each component that a cell uses.
        registry: contains the plug-ins.
    """
    return [
        LockedPlugin(name=plugin.origin.name, adds=plugin.names, code=plugin.hashes)
        for plugin in registry.plugins
        if any(registry.find_plugin(role, name) is plugin for role, name in used)
    ]
