"""Reads suite files: parses TOML, follows `extends`, applies `--set`, and reports all errors of a file at once.

`cli` and `api` call `read_suite`, which returns the cells to plan or run.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from fdabench import __version__
from fdabench.errors import SuiteError, SuiteNotFoundError, UsageError
from fdabench.registry.compatibility import incompatible_pairs
from fdabench.registry.registry import Registry
from fdabench.regular_files import read_regular
from fdabench.results.suite_lock import LockedNetwork, SuiteLock
from fdabench.shared_types import ParsedTable
from fdabench.suite.cell import Cell
from fdabench.suite.components.own import add_own_components, resolve_paths
from fdabench.suite.components.plugins import (
    PluginReference,
    load_registry,
    plugin_files,
    plugin_notes,
    plugins_to_lock,
)
from fdabench.suite.components.use import distinct_components, locked_components
from fdabench.suite.gate_settings import gate_to_lock, unmatched_limits
from fdabench.suite.grid import MAX_CELLS, check_excludes, check_strategies, check_workloads, expand_grid
from fdabench.suite.schema import Suite
from fdabench.suite.sizes import size_errors
from fdabench.suite.validation_errors import format_validation_errors
from fdabench.validation.messages import Issue, format_issue, line_origins
from fdabench.validation.toml_text import KeyPath, format_value, key_lines

_BRACKETS = re.compile(r"\[(\d+)\]")
_STREAM_PATHS = re.compile(r"/dev/(stdin|fd/\d+)|/proc/self/fd/\d+")

# only one key of each pair may be given, so a new value for one removes the other
_PAIRS = (("steps", "epochs"), ("every_steps", "every_epochs"), ("local_steps", "local_epochs"))
_EXCLUSIVE_WITH = {key: other for pair in _PAIRS for key, other in (pair, pair[::-1])}


@dataclass(frozen=True)
class LoadedSuite:
    """A valid suite.

    Args:
        suite: the settings.
        source: the path of the file as the user gave it.
        overrides: the values of `--set`.
        cells: the cells, in order; at least one.
        notes: for the user, on how the file was interpreted.
        registry: the built-in components and those of plug-ins.
    """

    suite: Suite
    source: str
    overrides: tuple[str, ...]
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    registry: Registry

    def to_lock(self) -> SuiteLock:
        """The contents of `suite.lock.toml`."""
        suite, used = self.suite, distinct_components(self.cells, self.registry)
        lock = SuiteLock(
            fdabench=__version__,
            suite=suite.name,
            description=suite.description,
            tuning=suite.tuning,
            source=self.source,
            overrides=list(self.overrides),
            plugins=plugins_to_lock(used, self.registry),
            seeds=list(suite.seeds),
            targets=list(suite.eval.targets),
            headline=suite.eval.headline,
            consecutive=suite.eval.consecutive,
            comparison=suite.eval.comparison,
            convention=suite.accounting.convention,
            network=[LockedNetwork.from_table(network.model_dump()) for network in suite.network],
            fleet=list(suite.fleet),
            gate=gate_to_lock(suite.gate, self.cells),
            components=locked_components(used, self.registry),
            cell=[cell.to_lock() for cell in self.cells],
        )
        # The default is not written, so that the locks of suites with accuracies stay the same.
        return lock if suite.eval.metric == "accuracy" else lock.with_changes({"metric": suite.eval.metric})


def read_suite(path: Path, overrides: Sequence[str] = ()) -> LoadedSuite:
    """Read and validate a suite file, and expand it into cells. This runs the code of the plug-ins that it names.

    Args:
        path: the suite file.
        overrides: values of `--set`, of the form KEY=VALUE. They replace values of the file.

    Raises:
        SuiteError: the file is missing or invalid. The message contains all errors that were found.
        UsageError: an override is not of the form KEY=VALUE.
    """
    raw, named, origins = _with_base(path, ())
    for override in overrides:
        for changed in _override(raw, override):
            # the override replaces everything below this key, so the lines of the file no longer apply
            origins = {key: origin for key, origin in origins.items() if key[: len(changed)] != changed}
            origins[changed] = "--set"
    source = path.as_posix()
    registry = load_registry(source, named)
    own = add_own_components(raw.get("workload"), registry)
    raw, registry = raw | ({"workload": own.workloads} if "workload" in raw else {}), own.registry
    workloads = check_workloads(raw.get("workload"), registry)
    strategies = check_strategies(raw.get("strategy"), registry)
    excludes = check_excludes(raw.get("exclude"))
    faults = [
        *_check_top(raw),
        *own.errors,
        *_beside(workloads.errors, own.errors),
        *strategies.errors,
        *excludes.errors,
    ]
    if faults:
        raise SuiteError(source, _formatted(faults, origins))
    suite = Suite.model_validate(raw)
    num_combinations = len(workloads.tables) * len(strategies.tables) * len(suite.seeds)
    if num_combinations > MAX_CELLS:
        raise SuiteError(source, [f"the suite has {num_combinations} cells; at most {MAX_CELLS} are allowed"])
    grid = expand_grid(suite, workloads, strategies, excludes, registry)
    if not grid.cells:
        raise SuiteError(source, _formatted([Issue(("exclude",), "nothing is left to run")], origins))
    pairs = [(cell.config.model, cell.config.dataset) for cell in grid.cells]
    if unfit := [*_formatted(size_errors(grid.cells, registry), origins), *incompatible_pairs(pairs, registry)]:
        raise SuiteError(source, unfit)
    if suite.accounting.convention == "ring" and any(cell.config.participation for cell in grid.cells):
        wrong = "participation needs a server, which a ring does not have: choose paper, star or upload"
        raise SuiteError(source, _formatted([Issue(("accounting", "convention"), wrong)], origins))
    notes = (*plugin_notes(registry), *grid.notes, *unmatched_limits(suite.gate, grid.cells))
    return LoadedSuite(suite, source, tuple(overrides), grid.cells, notes, registry)


def _formatted(issues: Iterable[Issue], origins: Mapping[KeyPath, str]) -> list[str]:
    """One line for each different issue. Crossing lists creates variants that have the same issue."""
    return list(dict.fromkeys(format_issue(issue, origins) for issue in issues))


def _beside(issues: Iterable[Issue], others: Iterable[Issue]) -> list[Issue]:
    """The issues that are not about a key of a workload that `others` are about, to report each fault once."""
    keys = {issue.path[:3] for issue in others}
    return [issue for issue in issues if issue.path[:3] not in keys]


def _check_top(raw: ParsedTable) -> list[Issue]:
    try:
        Suite.model_validate(raw)
    except ValidationError as error:
        return format_validation_errors(error, raw, Suite, {}, {})
    return []


def read_registry(path: Path | None) -> Registry:
    """The components that a suite may name. The tables of the suite are not validated.

    Args:
        path: a suite file, whose plug-ins are loaded. None: only plug-ins of installed packages are loaded.

    Raises:
        SuiteError: the file cannot be read, or a plug-in cannot be used.
    """
    return load_registry(path.as_posix(), list_plugin_files(path)) if path else load_registry("installed plug-ins", [])


def list_plugin_files(path: Path) -> list[PluginReference]:
    """The plug-ins that a suite and the files that it extends name. The files of the plug-ins are not opened.

    Raises:
        SuiteError: the suite, or a file that it extends, cannot be read.
    """
    return _with_base(path, ()).plugins


class _File(NamedTuple):
    """A suite file, merged with the files that it extends."""

    raw: ParsedTable
    plugins: list[PluginReference]
    origins: dict[KeyPath, str]
    """The file and line of each key."""


def _with_base(path: Path, including: tuple[Path, ...]) -> _File:
    """Read a file and, recursively, the file that it extends, and merge them. Values of this file have precedence.

    Args:
        path: the file.
        including: the files that extend this one, to detect a cycle.
    """
    if path.resolve() in including:
        raise SuiteError(path.as_posix(), ["extends: comes back to itself"])
    try:
        text = _content(path).decode("utf-8-sig")
        raw = tomllib.loads(text)
    except FileNotFoundError as error:
        raise SuiteNotFoundError(path.as_posix()) from error
    except OSError as error:
        raise SuiteError(path.as_posix(), [f"cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise SuiteError(path.as_posix(), [f"not TOML: {error}"]) from error
    lines = key_lines(text)
    origins = line_origins(path.as_posix(), lines)
    resolve_paths(raw, path.parent)
    base, named = raw.pop("extends", None), plugin_files(path, raw.get("plugins"), lines)
    if base is None:
        return _File(raw, named, origins)
    if not isinstance(base, str):
        wrong = Issue(("extends",), f"expected a string, found {format_value(base)}")
        raise SuiteError(path.as_posix(), _formatted([wrong], origins))
    try:
        below = _with_base(path.parent / base, (*including, path.resolve()))
    except SuiteNotFoundError as error:
        raise SuiteError(path.as_posix(), _formatted([Issue(("extends",), str(error))], origins)) from error
    return _File(_merged(below.raw, raw), [*below.plugins, *named], below.origins | origins)


def _content(path: Path) -> bytes:
    """The contents of a regular file, or of a stream of the shell: `run /dev/stdin`, `run <(make-suite)`.

    Raises:
        OSError: the file cannot be read, or is a folder, another pipe or a device.
    """
    return path.read_bytes() if _STREAM_PATHS.fullmatch(path.as_posix()) else read_regular(path)


def _merged(base: ParsedTable, over: ParsedTable) -> ParsedTable:
    """A copy of `base` with the values of `over`. Tables are merged key by key; lists are replaced as a whole."""
    merged = {key: value for key, value in base.items() if _EXCLUSIVE_WITH.get(key) not in over}
    for key, value in over.items():
        both_tables = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both_tables else value
    return merged


def _override(raw: ParsedTable, override: str) -> list[KeyPath]:
    """Apply one `--set` to the tables of a suite, in place.

    Examples are `eval.every_steps=50`, `workload.workers=[5]` (in every workload) and `strategy.2.theta=3`. A value
    that is not TOML is taken as a string.

    Returns:
        The paths of the values that were set.

    Raises:
        UsageError: the override is not of the form KEY=VALUE, or the tables have no such key.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {override}: expected KEY=VALUE, as in --set budget.steps=100")
    if key.strip().split(".")[0] == "plugins":
        raise UsageError(f"--set {override}: only a suite's file names plug-ins")
    if bracket := _BRACKETS.search(key):
        dotted = _BRACKETS.sub(r".\1", key.strip())
        raise UsageError(f"--set {override}: there is no key {bracket.group()!r}; write {dotted}={text}")
    keys = key.strip().split(".")
    if place := _numbered_place(raw, keys):
        raise UsageError(f"--set {override}: there is no key {key.strip()!r}; write {place}={text}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    return _assign(raw, (), keys, value, override)


def _numbered_place(raw: ParsedTable, keys: list[str]) -> str:
    """Return the key that was meant by `theta` or `strategy.fda.theta`, such as `strategy.4.theta`; "" otherwise."""
    workloads, strategies = (_entries(raw, name) for name in ("workload", "strategy"))
    if len(keys) == 1 and keys[0] not in Suite.model_fields:
        meant = [f"workload.{keys[0]}" for _, entry in workloads if keys[0] in entry]
        meant += [f"strategy.{number}.{keys[0]}" for number, entry in strategies if keys[0] in entry]
    elif len(keys) > 2 and keys[0] == "strategy":
        meant = [
            ".".join(["strategy", str(number), *keys[2:]])
            for number, entry in strategies
            if keys[1] in (entry.get("kind"), entry.get("name"))
        ]
    else:
        return ""
    return meant[0] if meant else ""


def _entries(raw: ParsedTable, name: str) -> list[tuple[int, ParsedTable]]:
    """The tables of a list in the file with their numbers."""
    listed = raw.get(name)
    return [(i, entry) for i, entry in enumerate(listed if isinstance(listed, list) else []) if isinstance(entry, dict)]


def _assign(node: Any, above: KeyPath, keys: list[str], value: object, override: str) -> list[KeyPath]:
    """Set a value below `node`.

    Args:
        node: a table or a list of the suite.
        above: the path of `node`.
        keys: the path of the value, relative to `node`. A list without an index means each of its entries.
        value: the new value.
        override: the argument of `--set`, for error messages.

    Returns:
        The paths of the values that were set.
    """
    key, rest = keys[0], keys[1:]
    if isinstance(node, list) and not key.isdigit():
        return [path for i, entry in enumerate(node) for path in _assign(entry, (*above, i), keys, value, override)]
    try:
        at: Any = int(key) if isinstance(node, list) else key
        if not rest:
            node[at] = value
            if isinstance(node, dict):
                node.pop(_EXCLUSIVE_WITH.get(key), None)
            return [(*above, at)]
        is_new = isinstance(node, dict) and at not in node
        below = node.setdefault(at, {}) if isinstance(node, dict) else node[at]
        paths = _assign(below, (*above, at), rest, value, override)
        return [(*above, at)] if is_new else paths
    except IndexError as error:
        place = ".".join(map(str, above))
        last = f"the last one is {place}.{len(node) - 1}" if node else "the list is empty"
        raise UsageError(f"--set {override}: there is no {place}.{key}; {last}") from error
    except TypeError as error:
        raise UsageError(f"--set {override}: there is no {key!r} to set something in") from error
