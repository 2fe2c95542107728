"""The table `model` with keys of fine-tuning: names, faults, bytes, and a run that begins from another cell."""

import shutil
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from fdabench.accounting.costs import total_bytes
from fdabench.cli.main import app
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.models.weight_files import write_weights
from fdabench.planning.forecast import forecast_bytes
from fdabench.planning.memory import RUNTIME_BYTES, simulation_bytes
from fdabench.suite.reader import read_suite

LORA = '{ name = "gpt-nano", lora = { rank = 4, targets = ["project_in", "project_out"] } }'
ADAPTERS, WHOLE = 2 * 4 * (64 + 192 + 64 + 64), 120_064
K, STEPS = 3, 4


def suite(model: str, strategies: str = 'kind = "fda"\nmonitor = "linear"\ntheta = 0') -> str:
    return f"""
name = "tuned"
[budget]
steps = {STEPS}
[eval]
every_steps = 2
metric = "loss"
samples = 20
[[workload]]
dataset = "shakespeare"
model = {model}
workers = {K}
batch_size = 2
optimizer = {{ kind = "sgd", lr = 0.1 }}
[[strategy]]
{strategies}
"""


def invoke(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


def write(folder: Path, text: str) -> Path:
    (file := folder / "suite.toml").write_text(text)
    return file


def trained(folder: Path, text: str) -> tuple[ResolvedCell, TrainingResult]:
    """Train the only cell of a suite in this process."""
    suite = read_suite(write(folder, text))
    (cell,) = (ResolvedCell(cell.config, suite.registry) for cell in suite.cells)
    (done,) = train_cells([CellJob("0" * 12, cell)], suite.registry.datasets["shakespeare"].load(folder))
    assert isinstance(done, TrainingResult), done
    return cell, done


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            '{ name = "gpt-nano", trainable = ["norm"], lora = { rank = 1, targets = ["expand"] } }',
            "trainable and lora are both",
        ),
        (
            '{ name = "gpt-nano", trainable = ["nrom"] }',
            'model.trainable: "nrom" selects no parameter',
        ),
        ('{ name = "gpt-nano", lora = { rank = 1, targets = ["expnd"] } }', 'did you mean "expand"?'),
        ('{ name = "gpt-nano", lora = { rank = 0, targets = ["expand"] } }', "model.lora.rank"),
        ('{ name = "gpt-nano", lora = { rank = 1, targets = [] } }', "model.lora.targets"),
        ('{ name = "gpt-nano", base = "sent" }', "base says how workers get the frozen parameters"),
        ('{ name = "gpt-nan", trainable = ["norm"] }', 'did you mean "gpt-nano"?'),
        ('{ name = "gpt-nano", init = "missing.pt" }', "model.init: "),
        ('{ name = "gpt-nano", init = "micro.pt" }', "tokens.weight has shape [256, 96], and [256, 64] in the model"),
    ],
)
def test_faults_name_the_key_and_write_nothing(model: str, message: str, tmp_path: Path) -> None:
    torch.save(init_model(MODELS["gpt-micro"], (64,), 256, 0).state_dict(), tmp_path / "micro.pt")
    code, output = invoke("run", write(tmp_path, suite(model)), "-o", tmp_path / "out")
    assert code == 2
    assert message in " ".join(output.split())
    assert "Traceback" not in output
    assert not (tmp_path / "out").exists()


def bytes_of(done: TrainingResult) -> dict[str, int]:
    ledger = pd.DataFrame(done.tables["ledger"])
    return {str(kind): int((rows["count"] * rows["payload_bytes"]).sum()) for kind, rows in ledger.groupby("kind")}


def test_messages_of_adapters_are_four_bytes_for_each_of_their_parameters(tmp_path: Path) -> None:
    cell, done = trained(tmp_path, suite(LORA))
    # with theta = 0, FDA synchronizes in every step; the linear monitor sends two numbers
    assert bytes_of(done) == {"initial": 4 * ADAPTERS, "model": STEPS * 4 * ADAPTERS, "state": STEPS * 8}
    assert cell.numbers()["num_parameters"] == ADAPTERS
    assert cell.numbers()["frozen_parameters"] == WHOLE


def test_a_base_that_is_sent_is_counted_once_for_each_worker_and_planned(tmp_path: Path) -> None:
    cell, done = trained(tmp_path, suite(LORA[:-2] + ', base = "sent" }', 'kind = "synchronous"'))
    assert bytes_of(done)["base"] == 4 * WHOLE
    total = total_bytes(pd.DataFrame(done.tables["ledger"]), K, "paper").total
    assert total == 4 * ADAPTERS * 2 * K * (STEPS + 1) + 4 * WHOLE * K
    assert forecast_bytes(cell, "paper") == (total, total)


def test_memory_has_the_base_once_and_the_trained_part_for_each_worker(tmp_path: Path) -> None:
    whole, adapters = (
        simulation_bytes(ResolvedCell(actual.cells[0].config, actual.registry))
        for actual in (read_suite(write(tmp_path, suite(model))) for model in ('"gpt-nano"', LORA))
    )
    vectors = Fraction(whole - RUNTIME_BYTES - K * 8, 4 * K * WHOLE)
    assert adapters == RUNTIME_BYTES + 4 * WHOLE + K * (4 * vectors * ADAPTERS + 8)


def test_a_model_begins_from_the_saved_model_of_a_cell(tmp_path: Path) -> None:
    _, first = trained(tmp_path, suite('"gpt-nano"'))
    weights = first.get_weights()
    assert weights is not None
    with (tmp_path / "model.pt").open("wb") as file:
        write_weights(weights, file)
    text = suite('{ name = "gpt-nano", init = "model.pt", trainable = ["norm"] }').replace("lr = 0.1", "lr = 1e-9")
    _, then = trained(tmp_path, text)
    assert then.tables["evals"][-1]["test_loss"] == pytest.approx(first.tables["evals"][-1]["test_loss"], rel=1e-5)
    assert bytes_of(then)["initial"] == 4 * 128


@pytest.mark.slow
def test_run_saves_models_and_another_suite_begins_from_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, output = invoke("run", write(tmp_path, suite('"gpt-nano"')), "-o", out, "--jobs", 1, "--save-model")
    assert code == 0, output
    (saved,) = out.glob("cells/*/model.pt")
    then = write(
        tmp_path, suite(f'{{ name = "gpt-nano", init = "out#{saved.parent.name[:4]}", trainable = ["norm"] }}')
    )
    code, output = invoke(
        "run", then, "-o", tmp_path / "then", "--jobs", 1, "--engine", "distributed", "--processes", 2
    )
    assert code == 0, output
    code, output = invoke("run", then, "-o", tmp_path / "same", "--jobs", 1)
    assert code == 0, output
    losses = [
        pd.read_parquet(next((tmp_path / name).glob("cells/*/evals.parquet")))["test_loss"].tolist()
        for name in ("then", "same")
    ]
    assert losses[0] == losses[1]
    assert not list((tmp_path / "same").glob("cells/*/model.pt"))


@pytest.mark.slow
def test_the_suites_pretrain_and_finetune_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two commands of suites/finetune.toml, with fewer steps and another text, in a folder like a clone."""
    (tmp_path / "suites").mkdir()
    for name in ("pretrain", "finetune"):
        shutil.copy(Path(__file__).parents[2] / "suites" / f"{name}.toml", tmp_path / "suites")
    (text := tmp_path / "data/state-of-the-union/Washington/1790.txt").parent.mkdir(parents=True)
    text.write_text("Fellow-Citizens of the Senate and House of Representatives. " * 500)
    monkeypatch.chdir(tmp_path)
    shorter = ("--jobs", 1, "--set", "budget.steps=2", "--set", "eval.every_steps=2", "--set", "eval.samples=4")
    code, output = invoke("run", "suites/pretrain.toml", "--save-model", *shorter)
    assert code == 0, output
    code, output = invoke("run", "suites/finetune.toml", "--seeds", 0, "-k", "LinearFDA", *shorter)
    assert code == 0, output
    runs = pd.read_parquet("results/finetune/runs.parquet")
    done = runs[runs["state"] == "done"]
    assert sorted(done["label"]) == ["LinearFDA", "LinearFDA", "LinearFDA-Opt", "LinearFDA-Opt"]
    assert set(done["num_parameters"]) == {WHOLE, ADAPTERS}
