"""In which file a reader of a pull request looks: the suite, or the plug-in that a strategy comes from."""

import os
from collections.abc import Mapping
from pathlib import Path

from fdabench.gate.output.units import strategy_kinds
from fdabench.results.suite_lock import SuiteLock

_ROLES = ("strategies", "monitors", "servers", "triggers", "codecs", "corrections")


def source_files(lock: SuiteLock) -> dict[str, str]:
    """The suite's file under "", and the plug-in file of each name that one adds; only files that are there.

    Args:
        lock: the frozen suite; its `source` is the path that `fdabench run` was given.
    """
    source = Path(lock.source)
    found = {"": source}
    for plugin in lock.plugins:
        for added in plugin.adds:
            role, _, name = added.partition(".")
            found |= {name: source.parent / plugin.name} if role in _ROLES else {}
    return {name: relative_to_cwd(str(path)) for name, path in found.items() if path.is_file()}


def source_file(files: Mapping[str, str], strategy: str) -> str:
    """Of the plug-in that this strategy, its monitor or its server comes from, else of the suite, else nothing."""
    named = [files[word] for word in strategy_kinds(strategy).split(" ") if word in files]
    return named[0] if named else files.get("", "")


def relative_to_cwd(place: str) -> str:
    """A path relative to this folder where the file is below it, else the file's name alone.

    Args:
        place: a path, or `path:line`.
    """
    if not os.path.isabs(place):
        return place.replace(os.sep, "/")
    here, there = os.path.realpath("."), os.path.realpath(place)
    inside = there.startswith(here + os.sep)
    return (os.path.relpath(there, here) if inside else os.path.basename(place)).replace(os.sep, "/")
