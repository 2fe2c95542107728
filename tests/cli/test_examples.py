"""The suites of `examples/`, called from another folder."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_example_runs_and_reports(here: InProcess, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    short = ("--set", "budget.steps=60", "--seeds", "0..0")
    result = here("run", "examples/kamp.toml", "-o", "results", "--jobs", "1", *short)
    assert result.exit_code == 0, result.stderr
    assert "note: examples/kamp.toml: plug-in examples/kamp.py adds strategies.kamp" in result.stderr
    runs = pd.read_parquet(tmp_path / "results" / "runs.parquet").set_index("label")
    assert set(runs["state"]) == {"done"}
    assert 0 < runs.loc["kamp", "syncs"] < 60
    assert runs.loc["kamp", "bytes_state"] == runs.loc["NaiveFDA", "bytes_state"] == 60 * 4 * 4
    shutil.rmtree(tmp_path / "examples")
    reported = here("report", "results", "-o", "report")
    assert reported.exit_code == 0, reported.stderr
    assert "kamp" in json.dumps(json.loads((tmp_path / "report" / "summary.json").read_text()))


@pytest.mark.slow
def test_the_example_of_a_trigger_runs_and_sends_the_planned_bytes(here: InProcess, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    short = ("--set", "budget.steps=60", "--seeds", "0..0")
    planned = here("plan", "examples/coin.toml", *short, "--output-format", "json")
    result = here("run", "examples/coin.toml", "-o", "results", "--jobs", "1", *short)
    assert result.exit_code == 0, result.stderr
    runs = pd.read_parquet(tmp_path / "results" / "runs.parquet").set_index("label")
    assert 0 < runs.loc["Coin", "syncs"] < 30
    (coin,) = [cell for cell in json.loads(planned.stdout) if "Coin" in json.dumps(cell)]
    assert str(runs.loc["Coin", "bytes_total"]) in json.dumps(coin)


@pytest.mark.slow
def test_the_readme_shows_the_output_of_the_example(fdabench_in: Fdabench, tmp_path: Path) -> None:
    result = fdabench_in("run", str(ROOT / "examples" / "kamp.toml"), "-q", "-o", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_of_a_codec_halves_the_bytes_of_models(here: InProcess, tmp_path: Path) -> None:
    short = ("--set", "budget.steps=60", "--seeds", "0..0")
    result = here("run", str(ROOT / "examples" / "fp16.toml"), "-o", "results", "--jobs", "1", *short)
    assert result.exit_code == 0, result.stderr
    runs = pd.read_parquet(tmp_path / "results" / "runs.parquet").set_index("label")
    assert set(runs["state"]) == {"done"}
    sent = runs["bytes_model"] - 2 * 4 * 4 * runs["num_parameters"]  # without the initial models of four workers
    assert sent["FedAvg fp16"] == sent["FedAvg bf16"] == sent["FedAvg"] / 2 > 0
