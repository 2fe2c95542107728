"""Properties of a model besides its layers: the penalty on its kernels, and pretrained weights."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.errors import WorkloadError
from fdabench.execution.preflight import check_runnable
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.build import build_cell, build_training
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.models import MODELS
from fdabench.planning import time as estimate
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell

Cells = Callable[..., list[Cell]]


def missing() -> NoReturn:
    raise WorkloadError("these weights are nowhere")


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The multilayer perceptron with pretrained weights that are missing."""
    monkeypatch.setitem(MODELS, "mlp", replace(MODELS["mlp"], pretrained=missing))  # type: ignore[index]


@pytest.mark.parametrize("coefficient", [0.0, 0.25])
def test_the_kernel_penalty_is_that_of_the_architecture(
    cells: Cells, monkeypatch: pytest.MonkeyPatch, coefficient: float
) -> None:
    monkeypatch.setitem(MODELS, "mlp", replace(MODELS["mlp"], kernel_l2=coefficient))  # type: ignore[index]
    config = cells()[0].config
    setting = build_cell(ResolvedCell(config), load_datasets(["digits"], Path("nowhere"))["digits"])
    assert build_training(ResolvedCell(config), setting, SequentialGradients).kernel_l2 == coefficient


def test_missing_weights_are_reported_before_anything_runs(cells: Cells, without_weights: None) -> None:
    """Once, however many cells need them."""
    with pytest.raises(WorkloadError, match=r"^these weights are nowhere$"):
        check_runnable(cells(), load_datasets(["digits"], Path("nowhere")), torch.device("cpu"))


def test_a_plan_downloads_no_weights(
    cells: Cells, without_weights: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a clock that advances a quarter of a second per reading, calibration counts 3 steps in 1.25 s."""
    readings = count()
    monkeypatch.setattr(estimate, "perf_counter", lambda: next(readings) / 4)
    cell = cells()[0]
    worker_steps = 24 * cell.config.workers
    step_s = estimate.step_seconds([cell], ResultsFolder(tmp_path))
    assert estimate.estimated_seconds([cell], step_s, jobs=1) == pytest.approx(worker_steps / (3 / 1.25))


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("densenet121", "models/densenet.py"),
        ("densenet201", "models/densenet.py"),
        ("convnext-large", "models/convnext.py"),
        ("convnext-large-imagenet", "models/convnext.py"),
    ],
)
def test_a_cell_depends_on_its_models_file_and_on_no_other_models(cells: Cells, model: str, file: str) -> None:
    config = cells()[0].config.with_changes({"dataset": "cifar100", "model": model})
    files = {name for name in code_hashes(config) if name.startswith("models/")}
    # the adapters of a model are merged where its weights are saved, which is code of every cell
    assert files == {file, "models/base.py", "models/dropout.py", "models/lora.py"}
