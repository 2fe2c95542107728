"""A request that `run` cannot meet is refused with exit 2, one clear message, and nothing written."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]


def test_quiet_and_verbose_together_are_refused(here: InProcess) -> None:
    result = here("run", "tiny.toml", "-q", "-v")
    assert result.exit_code == 2
    assert result.stderr == "fdabench: --quiet and --verbose are both given; give one of them\n"
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "SUITE.toml"),
        (["run", "nowhere.toml"], "nowhere.toml: no such file"),
        (["run", "tiny.toml", "--set", "budget.steps"], "expected KEY=VALUE"),
        (["run", "tiny.toml", "--set", "budget.steps=0"], "budget.steps: 0 is out of range"),
        (["run", "tiny.toml", "--seeds", "x"], "--seeds x: expected a range"),
        (["run", "tiny.toml", "-k", "(fda"], "a closing parenthesis is missing"),
        (["run", "tiny.toml", "-k", "nothing"], "chooses none of 2 cells"),
        (["run", "tiny.toml", "--device", "tpu"], "--device tpu: expected auto"),
        (["run", "tiny.toml", "--device", "cuda:99"], "this machine has "),
        pytest.param(
            ["run", "tiny.toml", "--device", "cuda", "--engine", "distributed", "--processes", "99"],
            "NCCL needs a CUDA device for each process",
            marks=pytest.mark.cuda,
        ),
        (["run", "tiny.toml", "--jobs", "0"], "--jobs"),
        (["run", "tiny.toml", "--threads", "-1"], "--threads"),
        (["run", "tiny.toml", "--cells-per-batch", "0"], "--cells-per-batch"),
        (
            ["run", "tiny.toml", "--engine", "vektorised"],
            "expected auto, sequential, vectorized or distributed; did you mean",
        ),
        (["run", "tiny.toml", "--set", "workload.precision=tf32", "--device", "cpu"], "'tf32' needs a CUDA device"),
        (["run", "tiny.toml", "--set", "workload.precision=fp16"], '"fp16" is unknown; allowed: "fp32", "bf16"'),
        (["run", "tiny.toml", "nowhere.toml"], "nowhere.toml: no such file"),
        (["run", "tiny.toml", "--set", "strategy.1.theta=-1", "--set", "eval.targets=[2]"], "2 faults"),
        (["run", "tiny.toml", "-o", "tiny.toml"], "tiny.toml"),
        (["plan", "tiny.toml", "--output-format", "xml"], "xml"),
        (["plan", "tiny.toml", "--set", "workload.0.model=lenet5"], "lenet5 takes images of shape"),
        (["validate"], "no suite file is given; give one or more, or --schema"),
        (["validate", "tiny.toml", "nowhere.toml"], "nowhere.toml: no such file"),
        (["status", "nowhere"], "nowhere: no results here"),
        (["report", "nowhere"], "nowhere: no results here"),
        (["show", "nowhere", "a"], "nowhere: no results here"),
        (["list", "teapots"], "teapots"),
        (["frobnicate"], "frobnicate"),
        (["run", "tiny.toml", "--frobnicate"], "--frobnicate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_impossible_request_is_refused_with_exit_2_and_nothing_is_written(
    here: InProcess, arguments: list[str], message: str
) -> None:
    result = here(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert os.listdir(".") == ["tiny.toml"]


def test_the_program_refuses_a_bad_suite_with_exit_2(fdabench_in: Fdabench, tmp_path: Path) -> None:
    result = fdabench_in("run", "tiny.toml", "-o", "out", "--set", "strategy.1.thetta=1", "--set", "budget.steps=-1")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        "fdabench: tiny.toml: 2 faults\n"
        "--set budget.steps: -1 is out of range: it must be at least 1\n"
        "--set strategy.1.thetta: unknown key: fda takes no thetta; allowed: kind, theta, monitor, every, server, "
        'codec, feedback, correction, most, lag, last, name, reference, optimizer; did you mean "theta"?\n'
    )
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_missing_data_is_reported_before_anything_is_written(here: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network: the download fails at once."""
    from fdabench.torchvision_compat import import_torchvision

    def no_network(self: Any) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(import_torchvision("datasets").MNIST, "download", no_network)
    result = here("run", "tiny.toml", "--set", "workload.0.dataset=mnist", "--data-dir", "elsewhere", "-o", "out")
    assert result.exit_code == 2, result.output
    assert "MNIST: not found under elsewhere" in result.stderr
    for way in ("on a machine with network access", "elsewhere/MNIST/raw", "--data-dir DIR, or FDABENCH_DATA=DIR"):
        assert way in result.stderr
    assert not Path("out").exists()


def test_an_impossible_partition_is_reported_before_anything_is_written(here: InProcess) -> None:
    partition = 'workload.0.partition={kind = "dirichlet", alpha = 1.0, min_samples = 1000}'
    result = here("run", "tiny.toml", "--set", partition, "-o", "out", "--device", "cpu")
    assert result.exit_code == 2, result.output
    assert "2 workers need at least 2000 samples" in result.stderr
    assert not Path("out").exists()


def test_a_folder_of_another_suite_is_refused(here: InProcess, finished: Any) -> None:
    result = here("run", "tiny.toml", "--set", "name=other", "-o", finished.results, "--device", "cpu")
    assert result.exit_code == 2
    assert "holds results of the suite 'tiny', not 'other'" in result.stderr
