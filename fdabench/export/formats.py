"""The tools that `fdabench export` writes for. The package of a tool is imported only when its format is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fdabench.errors import UsageError
from fdabench.export.benchmarks import write_bencher, write_github_benchmark
from fdabench.export.csv_file import write_csv
from fdabench.results.archive import SUFFIX, opened, write_archive
from fdabench.results.load import Results


def _archive(results: Results, path: Path) -> None:
    with opened(results.root) as folder:
        write_archive(folder, path)


def _tensorboard(results: Results, path: Path) -> None:
    from fdabench.export.tensorboard import write_tensorboard

    write_tensorboard(results, path)


def _mlflow(results: Results, path: Path) -> None:
    from fdabench.export.mlflow import write_mlflow

    write_mlflow(results, path)


def _wandb(results: Results, path: Path) -> None:
    from fdabench.export.wandb import write_wandb

    write_wandb(results, path)


def _trackio(results: Results, path: Path) -> None:
    from fdabench.export.trackio import write_trackio

    write_trackio(results, path)


@dataclass(frozen=True)
class ExportFormat:
    """A format of `fdabench export`.

    Args:
        write: writes results to a path.
        default: the name of the file or folder if `-o` is not given.
        is_replaced: whether an existing file is replaced; otherwise the path must not exist.
        extra: the extra of fdabench that installs the package; "" if none is needed.
    """

    write: Callable[[Results, Path], None]
    default: str
    is_replaced: bool
    extra: str = ""


FORMATS: Mapping[str, ExportFormat] = {
    "tensorboard": ExportFormat(_tensorboard, "tensorboard", False, "tensorboard"),
    "mlflow": ExportFormat(_mlflow, "mlflow.db", False, "mlflow"),
    "wandb": ExportFormat(_wandb, "wandb-offline", False, "wandb"),
    "trackio": ExportFormat(_trackio, "trackio", False, "trackio"),
    "github-benchmark": ExportFormat(write_github_benchmark, "github-benchmark.json", True),
    "bencher": ExportFormat(write_bencher, "bencher.json", True),
    "csv": ExportFormat(write_csv, "evaluations.csv", True),
    "archive": ExportFormat(_archive, f"results{SUFFIX}", True),
}


def export(results: Results, name: str, out: Path | None) -> Path:
    """Write results in a format.

    Args:
        results: the content of a results folder.
        name: a key of `FORMATS`.
        out: the file or folder to write; None: the format's default name in the current folder.

    Returns:
        The path that was written.

    Raises:
        UsageError: the path exists, or the package of the tool is not installed.
        ResultError: the file cannot be written.
    """
    form = FORMATS[name]
    path = out or Path(form.default)
    if not form.is_replaced and path.exists():
        raise UsageError(f"{path.as_posix()} exists; remove it, or give another path with -o")
    try:
        form.write(results, path)
    except ModuleNotFoundError as error:
        if not form.extra:
            raise
        raise UsageError(f"--to {name}: {error}; install it with: pip install 'fdabench[{form.extra}]'") from None
    return path
