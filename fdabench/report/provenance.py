"""Reads from the records of cells when, with which versions and on which machines they were run.

The date of the report itself is not used, so that the same results give the same report.
"""

from collections.abc import Iterable

from fdabench.analysis.data import ReportData
from fdabench.formatting import join_first, strip_paths

_MOST = 2
_DATE = len("2026-01-31")


def provenance(data: ReportData) -> list[str]:
    """Return dates, versions, devices and platforms of the cells with a result. What no record contains is left out."""
    records = [record for record in data.records.values() if record.has_result]

    def distinct(key: str) -> list[str]:
        return sorted({strip_paths(str(value)) for each in records if (value := each.environment.get(key))})

    dates = sorted({moment[:_DATE] for each in records if (moment := each.ended or each.started)})
    fdabench, git, torch = distinct("fdabench"), distinct("git"), distinct("torch")
    found = [
        " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "",
        _named("fdabench", fdabench) + (f" (git {_some(git)})" if git else ""),
        _named("torch", torch),
        _some(distinct("device")),
        _some(distinct("platform")),
    ]
    return [part for part in found if part]


def _some(values: Iterable[str]) -> str:
    return join_first(list(values), _MOST)


def _named(name: str, versions: list[str]) -> str:
    return f"{name} {_some(versions)}" if versions else ""
