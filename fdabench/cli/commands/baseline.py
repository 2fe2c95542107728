"""`fdabench baseline save | accept | show`: the small text file that people commit."""

import subprocess
from pathlib import Path
from typing import Any

from fdabench.cli.commands.check import load_for_check
from fdabench.cli.console import print_note, print_result, print_table
from fdabench.errors import UsageError
from fdabench.formatting import format_count, format_percent, plural
from fdabench.gate.baseline.model import RunSummary
from fdabench.gate.baseline.read import read_baseline
from fdabench.gate.baseline.snapshot import summarize_results
from fdabench.gate.baseline.write import BaselineDiff, accept, new_baseline, save
from fdabench.gate.output.units import format_metric
from fdabench.results.escaping import one_line
from fdabench.results.load import Results
from fdabench.tables import Table, column


def save_baseline(root: Path, path: Path, force: bool) -> None:
    """
    Raises:
        UsageError: a baseline is there, whose history would be lost; or cells have no result.
    """
    if path.exists() and not force:
        raise UsageError(f"{path}: is there already: `fdabench baseline accept` keeps its history, --force does not")
    results = load_for_check(root)
    made = new_baseline(summarize_results(results), _revision(results), _versions(results))
    save(path, made)
    print_result(f"{path.as_posix()}: {plural(len(made.snapshot.runs), 'run')} of {made.snapshot.suite}; commit it")


def accept_results(root: Path, path: Path, reason: str) -> None:
    """
    Raises:
        UsageError: the reason is empty, cells have no result, or they are of another suite.
        NotComparedError: no baseline to change.
    """
    old, results = read_baseline(path), load_for_check(root)
    new, found = accept(old, summarize_results(results), reason, _revision(results), _versions(results))
    if new is old:
        print_result(f"{path.as_posix()}: nothing differs; left as it is")
        return
    save(path, new)
    print_result(f"{path.as_posix()}: {_told(found)}; commit it")


def _told(found: BaselineDiff) -> str:
    """`2 runs changed, 1 run added`; where none is, only how all are read."""
    told = [f"{plural(count, 'run')} {what}" for what, count in found._asdict().items() if count]
    return ", ".join(told) or "targets or accounting changed"


def show_baseline(path: Path, form: str) -> None:
    """One row for each run; who accepted what, and why, to stderr."""
    baseline = read_baseline(path)
    print_table(Table([_record(run) for run in baseline.snapshot.runs], _COLUMNS), form)
    for entry in baseline.history:
        code = f" with fdabench {entry.fdabench}" if entry.fdabench else ""
        print_note(f"{entry.revision or 'no revision'}{code}: {plural(entry.runs, 'run')}: {one_line(entry.reason)}")


def _record(run: RunSummary) -> dict[str, Any]:
    """For programs; the accuracy of a run that diverged is NaN, which is printed as null."""
    told = {key: getattr(run, key) for key in ("cell", "seed", "id", "state", "steps", "syncs", "bytes_total")}
    return {**told, "accuracy": run.accuracy, "environment": run.environment}


_COLUMNS = (
    column("cell", write=format_metric),
    column("seed"),
    column("id"),
    column("state"),
    column("steps", write=format_count),
    column("syncs", write=format_count),
    column("bytes_total", "bytes", format_count),
    column("accuracy", write=lambda accuracy: format_percent(accuracy, 2)),
    column("environment"),
)


def _revision(results: Results) -> str:
    """The commit of the repository that the suite's file is in, with `+` where files differ; empty where none is found.

    Results do not record it, so it is that of now.
    """
    source = Path(results.lock.source)
    if not source.is_file():
        return ""
    command = ["git", "-C", str(source.parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _versions(results: Results) -> str:
    """The versions of fdabench that the results come from, each with its commit where it was a checkout."""
    environments = [record.environment for record in results.records.values()]
    told = {(str(about.get("fdabench", "")), str(about.get("git", ""))) for about in environments}
    return ", ".join(f"{version} ({commit})" if commit else version for version, commit in sorted(told) if version)
