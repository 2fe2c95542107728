"""Reads from the records of cells when, with which versions and on which machines they were run.

The date of the report itself is not used, so that the same results give the same report.
"""

from collections.abc import Iterable

from fdabench.analysis.data import ReportData
from fdabench.formatting import join_first, strip_paths

_MAX_VALUES = 2
"""If cells differ in a version or a platform, this number of the values is listed."""
_DATE_LENGTH = len("2026-01-31")


def provenance(data: ReportData) -> list[str]:
    """Return dates, versions, devices and platforms of the cells with a result, without those that no record has."""
    records = [record for record in data.records.values() if record.has_result]

    def distinct(key: str) -> list[str]:
        return sorted({strip_paths(str(value)) for record in records if (value := record.environment.get(key))})

    dates = sorted({time[:_DATE_LENGTH] for record in records if (time := record.ended or record.started)})
    fdabench, git, torch = distinct("fdabench"), distinct("git"), distinct("torch")
    facts = [
        " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "",
        _name_versions("fdabench", fdabench) + (f" (git {_join_values(git)})" if git else ""),
        _name_versions("torch", torch),
        _join_values(distinct("device")),
        _join_values(distinct("platform")),
    ]
    return [part for part in facts if part]


def _join_values(values: Iterable[str]) -> str:
    return join_first(list(values), _MAX_VALUES)


def _name_versions(name: str, versions: list[str]) -> str:
    return f"{name} {_join_values(versions)}" if versions else ""
