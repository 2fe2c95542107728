"""The plug-ins that suites name, and those of installed packages."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.catalogue.kinds import Catalogue
from fdabench.catalogue.load import load, read_file
from fdabench.catalogue.origin import File, installed
from fdabench.errors import PluginError, SuiteError
from fdabench.suite.components import check_usable
from fdabench.validation.toml_text import KeyPath


class Named(NamedTuple):
    """A plug-in as a suite's file names it: which file, at which place, and what it is called there."""

    suite: Path
    place: str
    path: Path
    line: int


def files_of(suite: Path, names: Any, lines: Mapping[KeyPath, int]) -> list[Named]:
    """Of one suite file, relative to it. What is no list of names is somebody else's fault to tell."""
    listed = names if isinstance(names, list) else []
    return [
        Named(suite, f"plugins.{i}", suite.parent / name, lines["plugins", i])
        for i, name in enumerate(listed)
        if isinstance(name, str)
    ]


def catalogue_with(source: str, named: Sequence[Named]) -> Catalogue:
    """What is built in, what installed packages add, and what these files add; each file once.

    Raises:
        SuiteError: a plug-in cannot be used; all faults of all of them are in the message.
    """
    faults: list[str] = []
    files: dict[Path, File] = {}
    for each in named:
        where = f"{each.suite.as_posix()}:{each.line}: {each.place}"
        try:
            file = read_file(where, each.path)
            files.setdefault(each.path.resolve(), file)
        except PluginError as error:
            faults += error.faults
    if faults:
        raise SuiteError(source, faults)
    try:
        return load([*installed(), *files.values()], check_usable)
    except PluginError as error:
        raise SuiteError(source, error.faults) from error


def plugin_notes(catalogue: Catalogue) -> list[str]:
    """`plug-in kamp.py adds strategies.kamp`, for each of them."""
    return [f"{_called(each.origin)} adds {', '.join(each.names)}" for each in catalogue.plugins]


def _called(origin: Any) -> str:
    if isinstance(origin, File):
        return f"plug-in {origin.path.as_posix()}"
    return f"plug-in {origin.name} of {origin.where}"


def locked_plugins(used: Iterable[tuple[str, str]], catalogue: Catalogue) -> list[dict[str, Any]]:
    """What the frozen suite holds of the plug-ins that add a component in use: what they add, and hashes of their code.

    `used` has the role and name of each component that a cell names.
    """
    return [
        {"name": plugin.origin.name, "adds": plugin.names, "code": plugin.hashes}
        for plugin in catalogue.plugins
        if any(catalogue.plugin_of(role, name) is plugin for role, name in used)
    ]
