"""Whole cells that train a GPT on text: engines, checkpoints and processes agree, and tables have owners."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.engine.gradients.selection import ENGINES
from fdabench.execution.shared_data import export_datasets, load_datasets, mmap_loader
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from support.cells import evals_table, text_cells, text_config, train_cell

PLAYS = load_datasets(["shakespeare"], Path("nowhere"))["shakespeare"]
ON = ExecutionContext(ExecutionConfig(torch.device("cpu"), "sequential", checkpoint_s=3600.0), lambda name: PLAYS)


def test_a_transformer_learns_from_roles_and_the_engines_agree(tmp_path: Path) -> None:
    config = text_config(tmp_path)
    actual = {}
    for name, engine in ENGINES.items():
        (done,) = train_cells([CellJob("0" * 12, ResolvedCell(config))], PLAYS, engine)
        assert isinstance(done, TrainingResult), done
        actual[name] = evals_table(done)
    losses = actual["sequential"]["test_loss"].tolist()
    # log 256 = 5.55 is the loss of a model that knows nothing
    assert 5.55 > losses[0] > losses[1] > 3
    assert actual["vectorized"]["test_loss"].tolist() == pytest.approx(losses, rel=1e-4)
    assert actual["vectorized"]["syncs"].tolist() == actual["sequential"]["syncs"].tolist()


def test_a_table_of_the_partition_has_the_samples_of_each_owner(tmp_path: Path) -> None:
    rows = pd.DataFrame(train_cell(text_config(tmp_path, "budget.steps=1")).tables["partition"])
    assert PLAYS.train_owners is not None
    totals = rows.groupby("label")["samples"].sum()
    assert totals.tolist() == PLAYS.train_owners.bincount().tolist()
    assert (rows[rows["samples"] > 0].groupby("label")["worker"].nunique() == 1).all()


@pytest.mark.parametrize("kind", [0, 1])
def test_a_cell_stopped_at_every_step_is_the_same_cell(tmp_path: Path, kind: int) -> None:
    cell = text_cells(tmp_path)[kind]
    whole, broken = ResultsFolder(tmp_path / "whole"), ResultsFolder(tmp_path / "broken")
    assert [record.state for record in run_cells_batched([cell], whole, ON, CellCallbacks())] == ["done"]
    for _ in range(5):
        stop = CellCallbacks(should_stop=lambda: True)
        assert [record.state for record in run_cells_batched([cell], broken, ON, stop)] == ["interrupted"]
    (record,) = run_cells_batched([cell], broken, ON, CellCallbacks())
    assert (record.state, record.resumed_at_step) == ("done", 5)
    for name in TABLES:
        expected, again = (store.read_cell_table(cell.id, name).to_pandas() for store in (whole, broken))
        clock = [column for column in CLOCK_COLUMNS if column in expected]
        pd.testing.assert_frame_equal(again.drop(columns=clock), expected.drop(columns=clock), check_exact=True)


def test_a_data_set_with_owners_is_mapped_by_other_processes(tmp_path: Path) -> None:
    with export_datasets({"shakespeare": PLAYS}) as folder:
        mapped = mmap_loader(folder, torch.device("cpu"))("shakespeare")
        assert torch.equal(mapped.train_x, PLAYS.train_x)
        assert mapped.train_owners is not None
        assert torch.equal(mapped.train_owners, PLAYS.train_owners)
        assert mapped.owner_names == PLAYS.owner_names


@pytest.mark.slow
def test_several_processes_train_the_same_cells(tmp_path: Path) -> None:
    cells = text_cells(tmp_path)
    for name, options in (("one", []), ("two", ["--engine", "distributed", "--processes", "2"])):
        done = CliRunner().invoke(app, ["run", str(tmp_path / "text.toml"), "-o", str(tmp_path / name), *options])
        assert done.exit_code == 0, done.output
    for cell in cells:
        one, two = (
            ResultsFolder(tmp_path / name).read_cell_table(cell.id, "evals").to_pandas() for name in ("one", "two")
        )
        clock = [column for column in CLOCK_COLUMNS if column in one]
        pd.testing.assert_frame_equal(two.drop(columns=clock), one.drop(columns=clock), check_exact=True)


MISFITS = {
    "workload.0.model=mlp": "workload.0.model: mlp is a model for classification, but shakespeare is a data set for "
    'next-token; models for next-token: "gpt-nano", "gpt-micro", "gpt-mini"',
    "workload.0.dataset=digits": "workload.0.model: gpt-nano is a model for next-token, but digits is a data set for "
    "classification; models for classification: ",
}


@pytest.mark.parametrize(("change", "message"), MISFITS.items(), ids=MISFITS)
def test_a_model_of_another_task_is_refused(tmp_path: Path, change: str, message: str) -> None:
    text_cells(tmp_path)
    done = CliRunner().invoke(app, ["plan", str(tmp_path / "text.toml"), "--set", change])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_a_natural_partition_of_data_without_owners_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    text_cells(tmp_path)
    changes = ["--set", "workload.0.dataset=digits", "--set", "workload.0.model=mlp"]
    done = CliRunner().invoke(app, ["run", str(tmp_path / "text.toml"), *changes, "-o", str(tmp_path / "results")])
    assert done.exit_code == 2
    assert "partition 'natural' needs samples with owners, and digits has none" in " ".join(done.output.split())
    assert not (tmp_path / "results").exists()
