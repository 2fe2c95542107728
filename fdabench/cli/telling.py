"""What a run tells of its cells, as lines."""

from fdabench.cli.console import in_bytes, in_time
from fdabench.results.store import FAILURES, Record
from fdabench.run import events
from fdabench.run.recorder import Progress
from fdabench.suite.cell import Cell

MOST_LETTERS = 200


def remarking(event: events.Remarked) -> str:
    return f"note  {event.cell.title}: {event.text}"


def moving(progress: Progress) -> str:
    """`2,400/4,000 steps  97.2 %  41 MB  37 syncs  Var/θ 0.44`."""
    full = f"  Var/θ {progress.fullness:.2f}" if progress.fullness == progress.fullness else ""
    return f"{progress.step:,}/{progress.budget:,} steps  {_outcome(progress)}{full}"


def _outcome(progress: Progress) -> str:
    return f"{progress.accuracy * 100:.1f} %  {in_bytes(progress.bytes_total)}  {progress.syncs:,} syncs"


def ending(cell: Cell, record: Record, latest: Progress | None) -> str:
    """One line for a result; three for a failure."""
    state = record["state"]
    if state in FAILURES:
        return (
            f"{state}  {cell.title}\n       {_cause(record)}\n       fdabench show RESULTS {cell.id} has the traceback"
        )
    if "wall_s" not in record or latest is None:
        return f"{state}  {cell.title}"
    samples = record["steps"] * cell.config["workers"] * cell.config["batch_size"] / record["wall_s"]
    took = f"{in_time(record['wall_s'])}  {samples:,.0f} samples/s"
    return f"{state}  {cell.title}   {record['steps']:,} steps  {_outcome(latest)}  {took}"


def _cause(record: Record) -> str:
    """The traceback's last line, cut off where it is long; before it a plug-in's file and line where it has a part."""
    last = record.get("error", "").strip().splitlines()[-1:] or [""]
    text = "".join(letter if letter.isprintable() else " " for letter in last[0])
    shown = text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
    return f"{record['plugin']}: {shown}" if record.get("plugin") else shown
