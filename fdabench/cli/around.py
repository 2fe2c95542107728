"""What comes after runs in several places: `merge`."""

from pathlib import Path
from typing import Annotated

import typer

from fdabench.cli.guard import guarded
from fdabench.cli.options import Out


@guarded
def merge(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", show_default=False)], out: Out = None
) -> None:
    """Join the results folders of a suite's shards, or of its runs of other seeds."""
    from fdabench.cli.merge import merge_results

    merge_results(results, out)
