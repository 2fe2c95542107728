"""`fdabench doctor`: versions, devices, data, and whether numbers come out the same twice."""

from collections.abc import Iterator
from pathlib import Path

from fdabench.cli.console import print_table
from fdabench.datasets.base import data_dir
from fdabench.errors import SuiteError
from fdabench.execution.preflight import parse_device
from fdabench.gate.baseline.keys import environment_class
from fdabench.planning.doctor import DoctorCheck, current_environment, data_sets, determinism, devices, versions
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.suite.reader import read_registry
from fdabench.tables import Table, column


def print_doctor(folder: Path | None, form: str) -> None:
    """One row for each thing that was looked at; what is missing is told, and is no failure."""
    registry, added = _plugins()
    findings = [
        *versions(),
        *devices(),
        *data_sets(data_dir(folder), registry),
        *added,
        *determinism(),
        *_environment_class(),
    ]
    print_table(Table([finding._asdict() for finding in findings], [*map(column, DoctorCheck._fields)]), form)


def _plugins() -> tuple[Registry, list[DoctorCheck]]:
    try:
        registry = read_registry(None)
    except SuiteError as error:
        return BUILT_IN, [DoctorCheck("plug-in", "installed", "; ".join(str(error).splitlines()))]
    found = [
        DoctorCheck("plug-in", plugin.origin.path.as_posix(), ", ".join(plugin.names)) for plugin in registry.plugins
    ]
    return registry, found or [DoctorCheck("plug-in", "installed", "none")]


def _environment_class() -> Iterator[DoctorCheck]:
    """What a baseline's runs must have in common with those here for `check` to compare them to the last bit."""
    computed = current_environment(parse_device("auto"))
    yield DoctorCheck(
        "class", "environment", ", ".join(f"{key} {value}" for key, value in environment_class(computed).items())
    )
