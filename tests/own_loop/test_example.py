"""The examples of a user's own loop, run as their first lines say, and what the commands read of them."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fdabench.results.load import load

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_loop"
EXAMPLE = EXAMPLES / "digits.py"
RUN_EXAMPLE = Path(__file__).parents[1] / "support" / "own_loop" / "run_example.py"
TORCHRUN = ["-m", "torch.distributed.run"]


def run(folder: Path, *arguments: str) -> None:
    """Run Python with these arguments in a folder; a failure shows what it printed."""
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_example_runs_and_its_results_are_read(ranks: int, tmp_path: Path) -> None:
    launcher = [] if ranks == 1 else [*TORCHRUN, f"--nproc-per-node={ranks}"]
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


@pytest.mark.slow
@pytest.mark.parametrize("package", ["accelerate", "lightning", "transformers"])
def test_the_example_of_a_package_learns_and_saves_its_run(package: str, tmp_path: Path) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    run(tmp_path, *TORCHRUN, "--nproc-per-node=2", str(RUN_EXAMPLE), str(EXAMPLES / f"with_{package}.py"))
    (made,) = load(tmp_path / "results" / f"own-loop-{package}").runs.to_dict("records")
    # 1,500 digits in batches of 32 on two ranks, ten times
    assert (made["workers"], made["steps"]) == (2, 240)
    assert 0 < made["syncs"] < 24
    assert made["final_accuracy"] > 0.8
