"""`fdabench export`: writes results for another tool."""

from pathlib import Path

from fdabench.cli.console import print_result
from fdabench.export.formats import export
from fdabench.results.folder import corruption_as_result_error
from fdabench.results.load import load


def export_results(root: Path, to: str, out: Path | None) -> None:
    """Load results and write them.

    Args:
        root: a results folder.
        to: a key of `export.formats.FORMATS`.
        out: the file or folder to write, or None for the default name.

    Raises:
        ResultError: results cannot be read, or the file cannot be written.
        UsageError: the path exists, or the package of the tool is not installed.
    """
    results = load(root)
    with corruption_as_result_error(root):
        print_result(export(results, to, out).as_posix())
