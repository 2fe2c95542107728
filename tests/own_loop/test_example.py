"""The examples of a user's loop, run as their first lines state, and their results in the commands."""

import json
import re
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


def run(folder: Path, *arguments: str) -> str:
    """Run Python with these arguments in a folder and return its output; a failure shows what it printed."""
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


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
def test_a_real_run_of_four_processes_is_compared_with_simulated_cells(tmp_path: Path) -> None:
    run(tmp_path, *TORCHRUN, "--nproc-per-node=4", str(EXAMPLE))
    suite, real = str(EXAMPLES / "digits.toml"), "results/own-loop"
    for command in (
        ("run", suite, "-o", "results/simulated", "--jobs", "1"),
        ("report", real, "results/simulated", "-o", "report"),
        ("baseline", "save", real),
        ("check", real, "--baseline", "baseline.toml"),
    ):
        run(tmp_path, "-m", "fdabench", *command)
    summary = (tmp_path / "report" / "summary.md").read_text(encoding="utf-8")
    assert "Real runs of a training loop" in summary
    seconds = load(tmp_path / real).wire.groupby("kind")["seconds"].sum()
    assert (seconds[["state", "model", "flags"]] > 0).all()
    # a run with more bytes than the baseline's fails the gate
    baseline = (tmp_path / "baseline.toml").read_text(encoding="utf-8")
    (tmp_path / "baseline.toml").write_text(
        re.sub(r"bytes_total = \d+", "bytes_total = 1000", baseline), encoding="utf-8"
    )
    with pytest.raises(AssertionError, match="bytes"):
        run(tmp_path, "-m", "fdabench", "check", real, "--baseline", "baseline.toml")
    plan = "plan", suite, "--extrapolate", "workers=64,parameters=1e6", "--output-format", "json"
    rows = json.loads(run(tmp_path, "-m", "fdabench", *plan, "--results", real))
    (projected,) = (row for row in rows if row["syncs_basis"] == "measured")
    (made,) = load(tmp_path / real).runs.to_dict("records")
    # 120 steps in the suite as in the loop
    assert projected["syncs_least"] == projected["syncs_most"] == made["syncs"]


@pytest.mark.slow
@pytest.mark.parametrize("package", ["accelerate", "lightning", "transformers"])
def test_the_example_of_a_package_reaches_an_accuracy_and_saves_its_run(package: str, tmp_path: Path) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    run(tmp_path, *TORCHRUN, "--nproc-per-node=2", str(RUN_EXAMPLE), str(EXAMPLES / f"with_{package}.py"))
    (made,) = load(tmp_path / "results" / f"own-loop-{package}").runs.to_dict("records")
    # 1,500 digits in batches of 32 on two ranks, ten times
    assert (made["workers"], made["steps"]) == (2, 240)
    assert 0 < made["syncs"] < 24
    assert made["final_accuracy"] > 0.8
