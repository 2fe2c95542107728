"""The table `model` with keys of fine-tuning: names, faults, bytes, and a run that begins from another cell."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.results.folder import ResultsFolder

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


def ran(folder: Path, text: str, *words: str) -> Path:
    out = folder / "out"
    code, said = invoke("run", write(folder, text), "-o", out, "--jobs", 1, *words)
    assert code == 0, said
    return out


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            '{ name = "gpt-nano", trainable = ["norm"], lora = { rank = 1, targets = ["expand"] } }',
            "trainable and lora are both",
        ),
        (
            '{ name = "gpt-nano", trainable = ["nrom"] }',
            'model.trainable: "nrom" selects no parameter (did you mean "norm"?)',
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
    from fdabench.models import MODELS
    from fdabench.models.base import init_model

    torch.save(init_model(MODELS["gpt-micro"], (64,), 256, 0).state_dict(), tmp_path / "micro.pt")
    code, said = invoke("run", write(tmp_path, suite(model)), "-o", tmp_path / "out")
    assert code == 2
    assert message in " ".join(said.split())
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def bytes_of(out: Path) -> dict[str, int]:
    ledger = pd.concat(pd.read_parquet(file) for file in out.glob("cells/*/ledger.parquet"))
    return {str(kind): int((rows["count"] * rows["payload_bytes"]).sum()) for kind, rows in ledger.groupby("kind")}


def test_messages_of_adapters_are_four_bytes_for_each_of_their_parameters(tmp_path: Path) -> None:
    out = ran(tmp_path, suite(LORA))
    # with theta = 0, FDA synchronizes in every step; the linear monitor sends two numbers
    assert bytes_of(out) == {"initial": 4 * ADAPTERS, "model": STEPS * 4 * ADAPTERS, "state": STEPS * 8}
    (record,) = ResultsFolder(out).read_records()
    assert record.resolved["num_parameters"] == ADAPTERS
    assert record.resolved["frozen_parameters"] == WHOLE


def test_a_base_that_is_sent_is_counted_once_for_each_worker(tmp_path: Path) -> None:
    text = suite(LORA.replace(" }", ' }, base = "sent"', 1), 'kind = "synchronous"')
    out = ran(tmp_path, text)
    assert bytes_of(out)["base"] == 4 * WHOLE
    evals = pd.read_parquet(next(out.glob("cells/*/evals.parquet")))
    messages = 4 * ADAPTERS * 2 * K * (STEPS + 1)
    assert evals["paper_bytes_total"].iloc[-1] == messages - 4 * ADAPTERS * 2 * K + 4 * WHOLE * K
    _, planned = invoke("plan", tmp_path / "suite.toml", "-o", tmp_path / "other", "--format", "json")
    assert str(messages + 4 * WHOLE * K) in planned


def test_a_model_begins_from_the_saved_model_of_another_cell(tmp_path: Path) -> None:
    first, then = tmp_path / "first", tmp_path / "then"
    first.mkdir()
    then.mkdir()
    out = ran(first, suite('"gpt-nano"'), "--save-model")
    saved = torch.load(next(out.glob("cells/*/model.pt")), weights_only=True)
    assert sum(x.numel() for x in saved.values()) == WHOLE
    again = suite('{ name = "gpt-nano", init = "../first/out", trainable = ["norm"] }').replace("lr = 0.1", "lr = 1e-9")
    tuned = ran(then, again)
    losses = [pd.read_parquet(next(each.glob("cells/*/evals.parquet")))["test_loss"].iloc[-1] for each in (out, tuned)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert bytes_of(tuned)["initial"] == 4 * 128
    assert not list(tuned.glob("cells/*/model.pt"))
