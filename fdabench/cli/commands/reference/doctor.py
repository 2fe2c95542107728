"""`fdabench doctor`: checks versions, devices, data sets, plug-ins, and whether training is deterministic."""

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
    """Print one row for each check. Missing parts are rows too; they do not change the exit code.

    Args:
        folder: the folder of the data sets, or None for the default.
        form: one of `options.Format`.
    """
    registry, plugin_checks = _read_plugins()
    findings = [
        *versions(),
        *devices(),
        *data_sets(data_dir(folder), registry),
        *plugin_checks,
        *determinism(),
        *_environment_class(),
    ]
    print_table(Table([finding._asdict() for finding in findings], [*map(column, DoctorCheck._fields)]), form)


def _read_plugins() -> tuple[Registry, list[DoctorCheck]]:
    """Return the registry with the installed plug-ins and a row for each; without them if one of them is faulty."""
    try:
        registry = read_registry(None)
    except SuiteError as error:
        return BUILT_IN, [DoctorCheck("plug-in", "installed", "; ".join(str(error).splitlines()))]
    checks = [
        DoctorCheck("plug-in", plugin.origin.path.as_posix(), ", ".join(plugin.names)) for plugin in registry.plugins
    ]
    return registry, checks or [DoctorCheck("plug-in", "installed", "none")]


def _environment_class() -> Iterator[DoctorCheck]:
    """Yield the properties that must be those of a baseline for `check` to compare numbers to the last bit."""
    computed = current_environment(parse_device("auto"))
    yield DoctorCheck(
        "class", "environment", ", ".join(f"{key} {value}" for key, value in environment_class(computed).items())
    )
