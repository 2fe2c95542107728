"""The memory of a process that trains, against the peak that the operating system measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fdabench.models import MODELS
from fdabench.models.base import ModelSpec
from fdabench.models.fine_tuning import FineTuning, fine_tuned
from fdabench.models.lora import LoraConfig
from fdabench.planning.activations import saved_bytes

SUITE = """
name = "memory"
budget.steps = 3
eval.every_steps = 3
[[workload]]
dataset = "{dataset}"
model = "{model}"
workers = 5
batch_size = {batch_size}
optimizer = {{ kind = "adamw", lr = 0.003 }}
[[strategy]]
kind = "fda"
monitor = "linear"
theta = 1.0
"""
PROGRAM = """
import json, sys
from pathlib import Path

import torch
from fdabench.datasets.base import DatasetTensors
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, train_cells
from fdabench.planning.activations import peak_bytes
from fdabench.suite.reader import read_suite

def peak():
    # not ru_maxrss, which a process takes over from the one that started it
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

torch.set_num_threads(1)
(cell,) = read_suite(Path(sys.argv[1])).cells
resolved = ResolvedCell(cell.config)
samples, shape, classes = 5 * cell.config.batch_size, resolved.dataset.shape, resolved.dataset.classes
if resolved.model.task == "next-token":
    x = torch.randint(classes, (samples, *shape))
    data = DatasetTensors(x, x, x[:8], x[:8], classes)
else:
    x, y = torch.randn(samples, *shape), torch.arange(samples) % classes
    data = DatasetTensors(x, y, x[:8], y[:8], classes)
(result,) = train_cells([CellJob("0" * 12, resolved)], data)
print(json.dumps([result.state, peak() - x.nbytes, peak_bytes(resolved)]))
"""
CASES = [
    ("gpt-nano", "shakespeare", 16, 128),
    ("gpt-micro", "shakespeare", 16, 128),
    ("lenet5", "mnist", 32, 2048),
]


def measured(folder: Path, model: str, dataset: str, batch_size: int) -> tuple[int, int]:
    """Train a cell in a process of its own. Returns its largest memory without the data and the estimate, in bytes."""
    suite = folder / f"{batch_size}.toml"
    suite.write_text(SUITE.format(model=model, dataset=dataset, batch_size=batch_size))
    done = subprocess.run([sys.executable, "-c", PROGRAM, suite], capture_output=True, text=True, check=True)
    state, peak, planned = json.loads(done.stdout)
    assert state == "done"
    return peak, planned


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize(("model", "dataset", "small", "large"), CASES)
def test_the_planned_memory_is_near_the_measured_peak(
    model: str, dataset: str, small: int, large: int, tmp_path: Path
) -> None:
    (small_peak, small_plan), (large_peak, large_plan) = (
        measured(tmp_path, model, dataset, batch_size) for batch_size in (small, large)
    )
    assert small_plan == pytest.approx(small_peak, rel=0.25)
    assert large_plan == pytest.approx(large_peak, rel=0.25)
    # Most of the memory is that of Python and torch, which is the same for both. The rest is told apart for GPTs only:
    # a convolution also needs a workspace, whose size depends on the processor and differs from run to run.
    if model.startswith("gpt"):
        assert large_plan - small_plan == pytest.approx(large_peak - small_peak, rel=0.5)


def by_hand(layers: int, width: int, heads: int, batch: int, context: int = 64) -> tuple[int, int]:
    """Bounds of the bytes that a GPT saves: without, and with the weights of attention of each pair of positions."""
    tokens = batch * context
    # a layer: two normalizations and their inputs, queries, keys and values, the attention, and the wide layer twice
    layer = tokens * width * (2 * 2 + 3 + 1 + 2 * 4)
    logits = tokens * 256
    pairs = batch * heads * context**2
    return 4 * (layers * layer + logits) // 2, 4 * (layers * (layer + 3 * pairs) + 2 * logits) * 2


@pytest.mark.parametrize(("model", "layers", "width"), [("gpt-nano", 2, 64), ("gpt-micro", 3, 96)])
def test_the_activations_of_a_gpt_are_those_of_its_layers_and_its_logits(model: str, layers: int, width: int) -> None:
    low, high = by_hand(layers, width, 4, 16)
    actual = saved_bytes(MODELS[model], (64,), 256, 16)
    assert actual is not None
    assert low < actual < high
    twice = saved_bytes(MODELS[model], (64,), 256, 32)
    assert twice == pytest.approx(2 * actual, rel=1e-3), "what does not depend on the batch is small"


def test_the_activations_of_a_linear_layer_are_its_input_and_the_probabilities() -> None:
    spec = ModelSpec(
        lambda shape, classes: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, classes)), None, ""
    )
    # the input and the log-probabilities, the targets as int64, and the weight of the mean, one number
    assert saved_bytes(spec, (3, 2, 2), 5, 7) == 4 * 7 * 12 + 4 * 7 * 5 + 8 * 7 + 4


def test_adapters_need_no_more_activations_than_the_whole_model() -> None:
    _, adapted = fine_tuned("gpt-nano", MODELS["gpt-nano"], FineTuning(lora=LoraConfig(4, ("project_in",), 4.0)))
    whole, part = (saved_bytes(spec, (64,), 256, 4) for spec in (MODELS["gpt-nano"], adapted))
    assert whole is not None
    assert part is not None
    assert 0 < part < whole


def test_a_model_that_the_meta_device_cannot_run_has_no_estimate() -> None:
    class ReadsValues(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.flatten(1) * float(x.sum()))

    assert saved_bytes(ModelSpec(lambda shape, classes: ReadsValues(4, classes), None, ""), (1, 2, 2), 3, 2) is None
