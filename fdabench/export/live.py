"""`run --log-to`: writes evaluations while cells run, so that a tool can show them during the run.

`fdabench export` writes the same curves from the results, with the bytes of the suite's convention.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from fdabench.errors import UsageError, did_you_mean
from fdabench.export.curves import Evaluation


class LiveLog(Protocol):
    """Receives the evaluations of a run as they are made."""

    def write(self, cell: str, evaluation: Evaluation) -> None:
        """Write an evaluation so that a reader sees it at once.

        Args:
            cell: the title and the id of the cell, usable as the name of a folder.
            evaluation: `bytes_total` has the bytes that were sent.

        Raises:
            OSError: the file cannot be written.
        """
        ...

    def close(self) -> None:
        """Close all files."""
        ...


def _csv(folder: Path) -> LiveLog:
    from fdabench.export.csv_file import LiveCsv

    return LiveCsv(folder / "evaluations.csv")


def _tensorboard(folder: Path) -> LiveLog:
    from fdabench.export.tensorboard import LiveTensorBoard

    return LiveTensorBoard(folder / "tensorboard")


def _mlflow(folder: Path) -> LiveLog:
    from fdabench.export.mlflow import LiveMlflow

    return LiveMlflow(folder / "mlflow.db")


LIVE_LOGS: Mapping[str, Callable[[Path], LiveLog]] = {"tensorboard": _tensorboard, "mlflow": _mlflow, "csv": _csv}
"""By the value of `--log-to`."""


def open_live_log(name: str, folder: Path) -> LiveLog:
    """Open a log.

    Args:
        name: a key of `LIVE_LOGS`.
        folder: where the log is written; it is created at the latest with the first evaluation.

    Raises:
        UsageError: the name is unknown, or the package of the tool is not installed.
    """
    if name not in LIVE_LOGS:
        raise UsageError(f"--log-to {name}: allowed: {', '.join(LIVE_LOGS)}{did_you_mean(name, LIVE_LOGS)}")
    try:
        return LIVE_LOGS[name](folder)
    except ModuleNotFoundError as error:
        raise UsageError(f"--log-to {name}: {error}; install it with: pip install 'fdabench[{name}]'") from None
