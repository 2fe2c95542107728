"""Finds the file that an annotation of a pull request refers to: the suite, or the plug-in that adds a strategy."""

import os
from collections.abc import Mapping
from pathlib import Path

from fdabench.component_info import STRATEGY_ROLES
from fdabench.gate.output.units import strategy_kinds
from fdabench.results.suite_lock import SuiteLock


def source_files(lock: SuiteLock) -> dict[str, str]:
    """Return the path of the suite file under "", and the plug-in file of each component that a plug-in adds.

    Files that do not exist are omitted.

    Args:
        lock: the frozen suite; its `source` is the path that `fdabench run` was given.
    """
    source = Path(lock.source)
    files_by_kind = {"": source}
    for plugin in lock.plugins:
        for added in plugin.adds:
            role, _, name = added.partition(".")
            files_by_kind |= {name: source.parent / plugin.name} if role in STRATEGY_ROLES else {}
    return {name: relative_to_cwd(str(path)) for name, path in files_by_kind.items() if path.is_file()}


def source_file(files: Mapping[str, str], strategy: str) -> str:
    """Return the file of a plug-in that adds the strategy or one of its components, or else the suite file.

    Args:
        files: the result of `source_files`.
        strategy: the name of the strategy, which begins with the kinds of its components.

    Returns:
        The path; "" if neither file exists.
    """
    candidates = [files[word] for word in strategy_kinds(strategy).split(" ") if word in files]
    return candidates[0] if candidates else files.get("", "")


def relative_to_cwd(place: str) -> str:
    """Return the path relative to the current folder if the file is below it, or else the name of the file.

    Args:
        place: a path, or `path:line`.
    """
    if not os.path.isabs(place):
        return place.replace(os.sep, "/")
    cwd, target = os.path.realpath("."), os.path.realpath(place)
    is_below_cwd = target.startswith(cwd + os.sep)
    return (os.path.relpath(target, cwd) if is_below_cwd else os.path.basename(place)).replace(os.sep, "/")
