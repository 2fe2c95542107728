"""`eval.worst_decile`: the mean over the worst tenth of owners, in columns only if a suite requests it."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fdabench.analysis.data import combine_results
from fdabench.engine.evaluate import WorstDecile
from fdabench.errors import SuiteError
from fdabench.report.tables.build import cells_table
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import load
from fdabench.results.schema import EVALS, RUNS
from fdabench.suite.reader import read_suite
from support.cells import run_suite

SUITE = """
name = "owners"
budget.steps = 6
eval = { every_steps = 3, metric = "METRIC", SAMPLES }
[[workload]]
dataset = { kind = "npz", path = "owned.npz", alias = "owned" }
model = "mlp"
workers = 2
batch_size = 4
optimizer = { kind = "sgd", lr = 0.1 }
[[strategy]]
kind = "synchronous"
"""


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.sampled_from(["accuracy", "loss"]), st.integers(1, 7))
def test_the_worst_tenth_is_what_pandas_computes(
    owners: list[int], source: Literal["accuracy", "loss"], batch: int
) -> None:
    generator = torch.Generator().manual_seed(len(owners))
    logits = torch.randn(len(owners), 5, 3, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (len(owners), 5), generator=generator)
    worst = WorstDecile(torch.tensor(owners), source)
    for part in zip(logits.split(batch), targets.split(batch), strict=True):
        worst.add(*part)
    losses = nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(1)
    accuracies = (logits.argmax(2) == targets).double().mean(1)
    means = pd.Series(accuracies if source == "accuracy" else losses).groupby(owners).mean()
    tenth = int(np.ceil(len(means) / 10))
    expected = means.nsmallest(tenth) if source == "accuracy" else means.nlargest(tenth)
    assert worst.compute() == pytest.approx(expected.mean())


def test_one_owner_is_the_whole_test_set() -> None:
    logits, targets = torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0])
    worst = WorstDecile(torch.tensor([4, 4]), "accuracy")
    worst.add(logits, targets)
    assert worst.compute() == 0.5


def write_suite(folder: Path, metric: str, more: str) -> Path:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 6)).astype(np.float32), rng.integers(0, 3, 80)
    owner = np.arange(80) % 7
    parts = {"x_train": x[:50], "y_train": y[:50], "x_test": x[50:], "y_test": y[50:]}
    np.savez(folder / "owned.npz", **parts, owner_train=owner[:50], owner_test=owner[50:])
    path = folder / "suite.toml"
    path.write_text(SUITE.replace("METRIC", metric).replace(", SAMPLES", more))
    return path


@pytest.mark.parametrize("metric", ["accuracy", "perplexity"])
def test_the_columns_exist_only_on_request(tmp_path: Path, metric: str) -> None:
    run_suite(write_suite(tmp_path, metric, ""), tmp_path / "plain")
    run_suite(write_suite(tmp_path, metric, ", worst_decile = true"), tmp_path / "asked")
    plain, arguments = load(tmp_path / "plain"), load(tmp_path / "asked")
    assert [*plain.runs["state"], *arguments.runs["state"]] == ["done"] * 2
    assert list(plain.evals) == EVALS.names
    assert list(plain.runs) == RUNS.names
    assert list(arguments.evals) == [*EVALS.names, "test_worst_decile"]
    assert list(arguments.runs) == [*RUNS.names, "final_worst_decile"]
    for column in ("test_accuracy", "test_loss", "train_loss", "variance"):
        assert plain.evals[column].equals(arguments.evals[column]), column
    worse = arguments.evals["test_worst_decile"]
    if metric == "accuracy":
        assert (worse <= arguments.evals["test_accuracy"]).all()
    else:
        assert (worse >= arguments.evals["test_loss"]).all()
    assert arguments.runs["final_worst_decile"].tolist() == [worse.iloc[-1]]
    assert ResultsFolder(tmp_path / "asked").damaged_table(arguments.runs["cell_id"].iloc[0]) == ""
    table = cells_table(combine_results([arguments]))
    assert "worst tenth of owners" in [column.title for column in table.columns]
    assert "final_worst_decile" in table.frame


@pytest.mark.parametrize(
    ("dataset", "key", "message"),
    [
        ('"digits"', "samples = 360", ":4: eval.samples: 360 samples, but the test set of digits has 359"),
        ('"mnist"', "samples = 10_001", ":4: eval.samples: 10001 samples, but the test set of mnist has 10000"),
        ('"digits"', "worst_decile = true", ":4: eval.worst_decile: the samples of digits have no owners"),
        (None, "samples = 31", ":4: eval.samples: 31 samples, but the test set of owned has 30; use at most that many"),
    ],
)
def test_invalid_settings_of_worst_decile_are_reported_as_a_fault_of_the_suite(
    tmp_path: Path, dataset: str | None, key: str, message: str
) -> None:
    path = write_suite(tmp_path, "loss", f", {key}")
    own = '{ kind = "npz", path = "owned.npz", alias = "owned" }'
    path.write_text(path.read_text().replace(own, dataset or own))
    with pytest.raises(SuiteError) as caught:
        read_suite(path)
    (fault,) = caught.value.faults
    assert message in fault
