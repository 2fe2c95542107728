"""The example of a user's own loop, run as its first lines say, and what the commands read of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from fdabench.results.load import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_loop" / "digits.py"


def run(folder: Path, *arguments: str) -> None:
    """Run Python with these arguments in a folder; a failure shows what it printed."""
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_example_runs_and_its_results_are_read(ranks: int, tmp_path: Path) -> None:
    launcher = [] if ranks == 1 else ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}"]
    run(tmp_path, *launcher, str(EXAMPLE))
    results = load(tmp_path / "results" / "own-loop")
    (made,) = results.runs.to_dict("records")
    assert made["workers"] == ranks
    assert made["final_accuracy"] > 0.8
    assert made["syncs"] < made["steps"]
    for command in (
        ("show", "results/own-loop"),
        ("report", "results/own-loop", "-o", "report"),
        ("baseline", "save", "results/own-loop"),
        ("check", "results/own-loop", "--baseline", "baseline.toml"),
    ):
        run(tmp_path, "-m", "fdabench", *command)
    assert (tmp_path / "report" / "index.html").exists()
