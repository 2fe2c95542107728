"""`fdabench baseline save | accept | show`: writes and prints the baseline, a text file that is committed to git."""

import subprocess
from pathlib import Path

from fdabench.cli.commands.gate.check import load_for_check
from fdabench.cli.console import print_note, print_result, print_table
from fdabench.errors import UsageError
from fdabench.formatting import format_count, format_percent, plural
from fdabench.gate.baseline.model import RunSummary
from fdabench.gate.baseline.read import read_baseline
from fdabench.gate.baseline.snapshot import summarize_results
from fdabench.gate.baseline.write import BaselineDiff, accept, new_baseline, save
from fdabench.gate.output.units import format_metric
from fdabench.metrics import LOSS, Metric
from fdabench.results.escaping import one_line
from fdabench.results.load import Results
from fdabench.tables import Column, Table, column


def save_baseline(root: Path, path: Path, force: bool) -> None:
    """Write a new baseline from results.

    Args:
        root: the results folder.
        path: the file to write.
        force: replace a baseline that exists; its history is lost.

    Raises:
        UsageError: the file exists and `force` is not given, or cells have no result.
        ResultError: there are no results, or the file cannot be written.
        NotComparedError: the results cannot be read.
    """
    if path.exists() and not force:
        raise UsageError(
            f"{path}: this file exists already; use `fdabench baseline accept`, which keeps the history, or --force, "
            "which replaces the file and its history"
        )
    results = load_for_check(root)
    new = new_baseline(summarize_results(results), _revision(results), _versions(results))
    save(path, new)
    print_result(
        f"{path.as_posix()}: {plural(len(new.snapshot.runs), 'run')} of {new.snapshot.suite}; commit this file"
    )


def accept_results(root: Path, path: Path, reason: str) -> None:
    """Replace the values of a baseline by those of results, and add an entry with the reason to its history.

    The file is not written if nothing differs.

    Args:
        root: the results folder.
        path: the baseline.
        reason: why the new numbers are right.

    Raises:
        UsageError: the reason is empty, cells have no result, or the results are of another suite.
        NotComparedError: there is no baseline, or the results cannot be read.
    """
    old, results = read_baseline(path), load_for_check(root)
    new, diff = accept(old, summarize_results(results), reason, _revision(results), _versions(results))
    if new is old:
        print_result(f"{path.as_posix()}: no value differs; the file is unchanged")
        return
    save(path, new)
    print_result(f"{path.as_posix()}: {_format_diff(diff)}; commit this file")


def _format_diff(diff: BaselineDiff) -> str:
    """Format the differences: `2 runs changed, 1 run added`. If no run differs, the targets or the accounting do."""
    counts = [f"{plural(count, 'run')} {what}" for what, count in diff._asdict().items() if count]
    return ", ".join(counts) or "targets or accounting changed"


def show_baseline(path: Path, form: str) -> None:
    """Print one row for each run to stdout, and the history of the baseline to stderr.

    Args:
        path: the baseline.
        form: one of `options.Format`.
    """
    baseline = read_baseline(path)
    records = [_record(run, baseline.snapshot.metric) for run in baseline.snapshot.runs]
    print_table(Table(records, _columns(baseline.snapshot.metric)), form)
    for entry in baseline.history:
        code = f" with fdabench {entry.fdabench}" if entry.fdabench else ""
        print_note(f"{entry.revision or 'no revision'}{code}: {plural(entry.runs, 'run')}: {one_line(entry.reason)}")


def _columns(metric: Metric) -> tuple[Column, ...]:
    """The columns, with the loss if the metric is computed from it."""
    if metric.source == "accuracy":
        return _COLUMNS
    return (*_COLUMNS[:-1], column("loss", write=lambda loss: LOSS.format(loss, 2)), _COLUMNS[-1])


def _record(run: RunSummary, metric: Metric) -> dict[str, object]:
    """Return the row of a run. The accuracy of a run that diverged is NaN, which is printed as null."""
    values = {key: getattr(run, key) for key in ("cell", "seed", "id", "state", "steps", "syncs", "bytes_total")}
    loss = {} if metric.source == "accuracy" else {"loss": run.loss}
    return {**values, "accuracy": run.accuracy, **loss, "environment": run.environment}


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
    """Return the commit of the repository that holds the suite file, followed by `+` if files differ from the commit.

    It is empty if there is no such repository. Results do not record the commit, so the current one is used.
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
    """Return the versions of fdabench that computed the results, each with its commit if it ran from a git checkout."""
    environments = [record.environment for record in results.records.values()]
    versions = {(str(environment.get("fdabench", "")), str(environment.get("git", ""))) for environment in environments}
    return ", ".join(f"{version} ({commit})" if commit else version for version, commit in sorted(versions) if version)
