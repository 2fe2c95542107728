"""A process group that cannot run a suite is refused; the workers of a suite are shared out among the others."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.distributed.process_group import TorchProcessGroup, split_evenly
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.build import build_cell
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.suite.reader import read_suite
from support.suites import DIRICHLET, digits_suite, linear_fda

SUITE = digits_suite(
    [linear_fda(0.3)],
    name="shared",
    steps=800,
    every_steps=200,
    workers=3,
    batch_size=16,
    workload=f"partition = {DIRICHLET}",
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "distributed"], "give --processes N, or start fdabench with torchrun"),
        (["--network-interface", "lo"], "--network-interface lo: this option requires --engine distributed"),
        (
            ["--engine", "distributed", "--processes", "2", "--network-interface", "eth99"],
            "eth99: no such interface here",
        ),
        (["--processes", "2"], "--processes 2: this option requires --engine distributed"),
        (["--engine", "distributed", "--processes", "2", "--reduction", "alreduce"], 'did you mean "allreduce"?'),
        (["--engine", "distributed", "--processes", "2", "--executor", "ray"], "Ray runs each cell in one process"),
        (["--engine", "distributed", "--processes", "4"], "workers = 3 cannot be divided among 4 processes"),
        (["--engine", "distributed", "--processes", "2", "--timeout", "soon"], "--timeout soon: expected a duration"),
    ],
)
def test_an_impossible_request_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite.toml").write_text(SUITE)
    result = CliRunner().invoke(app, ["run", "suite.toml", *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "results").exists()


def test_an_incomplete_process_group_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANK", "0")
    (tmp_path / "suite.toml").write_text(SUITE)
    result = CliRunner().invoke(app, ["run", "suite.toml", "--engine", "distributed"])
    assert result.exit_code == 2
    assert "RANK is set and WORLD_SIZE, MASTER_ADDR, MASTER_PORT is not" in result.output


@pytest.mark.parametrize(("workers", "processes"), [(5, 2), (4, 4), (7, 3), (2, 1)])
def test_workers_are_shared_out_evenly_and_in_order(workers: int, processes: int) -> None:
    shares = split_evenly(workers, processes)
    assert sum(shares) == workers
    assert max(shares) - min(shares) <= 1
    stored = [TorchProcessGroup(rank, processes).local_workers(workers) for rank in range(processes)]
    assert [worker for part in stored for worker in part] == list(range(workers))


def test_each_process_has_the_samples_of_its_own_workers_only(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(SUITE)
    cell = ResolvedCell(read_suite(tmp_path / "suite.toml").cells[0].config)
    data = load_datasets(["digits"], Path("no-data"))["digits"]
    whole = build_cell(cell, data)
    first, second = (build_cell(cell, data, process_group=TorchProcessGroup(rank, 2)) for rank in range(2))
    assert len(first.examples.y) == len(whole.shards[0]) + len(whole.shards[1])
    assert len(second.examples.y) == len(whole.shards[2])
    samples = whole.group.samplers[2].next_batch()
    assert torch.equal(whole.examples.x[samples], second.examples.x[second.group.samplers[0].next_batch()])
    assert json.dumps(second.channel.ledger.entries) == "[]"
