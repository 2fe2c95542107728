"""The parts of suites, the training loop and the commands without results that pages show: each is run."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.suite.reader import read_suite

ROOT = Path(__file__).parents[2]
SUITE = """\
name = "page"
budget = { steps = 20 }
eval = { every_steps = 10 }
"""
WORKLOAD = """\
[[workload]]
batch_size = 8
optimizer = { kind = "sgd", lr = 0.1 }
"""
STRATEGY = """\
[[strategy]]
kind = "fedavg"
local_steps = 10
"""


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


FRAGMENTS = [
    (page, text)
    for page in ("docs/fleets.md", "docs/methods.md", "docs/models.md")
    for text in blocks(page, "toml")
    # those of other libraries and of earlier results are in tests/models
    if text.startswith(("[[workload]]", "[[strategy]]")) or (text.startswith("model = { name") and "init" not in text)
]


def test_the_pages_have_fragments() -> None:
    assert len(FRAGMENTS) >= 5


@pytest.mark.parametrize(("page", "text"), FRAGMENTS, ids=[f"{page}-{text[:40]}" for page, text in FRAGMENTS])
def test_a_fragment_of_a_page_is_part_of_a_valid_suite(page: str, text: str, tmp_path: Path) -> None:
    data = 'dataset = "shakespeare"\n' if text.startswith("model") else 'dataset = "digits"\nmodel = "mlp"\n'
    if text.startswith("[[strategy]]"):
        tables = f"{WORKLOAD}{data}workers = 4\n{text}"
    elif text.startswith("[[workload]]"):
        tables = f"{WORKLOAD}{data}{text.removeprefix('[[workload]]')}\n{STRATEGY}"
    else:
        tables = f"{WORKLOAD}{data}workers = 4\n{text}\n{STRATEGY}"
    path = tmp_path / "page.toml"
    path.write_text(SUITE + tables, encoding="utf-8")
    assert len(read_suite(path).cells) == 1


@pytest.mark.parametrize("page", ["README.md", "docs/own-loop.md"])
def test_the_training_loop_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (text,) = [text for text in blocks(page, "python") if text.startswith("from fdabench import sync\n\nwith sync(")]
    torch.manual_seed(0)
    model = nn.Linear(4, 2)

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        mean: Tensor = model(batch).square().mean()
        return mean

    names: dict[str, Any] = {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "loader": torch.randn(6, 8, 4),
        "loss": loss,
    }
    exec(text, names)
    assert any((tmp_path / "results" / "my-run").iterdir())


@pytest.mark.parametrize(
    ("page", "start"),
    [
        ("docs/fleets.md", "fdabench list fleets"),
        pytest.param("docs/models.md", "fdabench inspect --model", marks=pytest.mark.slow),
    ],
)
def test_a_command_that_needs_no_results_runs(page: str, start: str) -> None:
    lines = [line for text in blocks(page, "sh") for line in text.splitlines() if line.startswith(start)]
    assert lines
    for line in lines:
        done = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
        assert done.exit_code == 0, done.output
