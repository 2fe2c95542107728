"""Models of timm by name. Without timm (pip install 'fdabench[timm]') these tests are skipped."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from fdabench.errors import SuiteError, WorkloadError
from fdabench.models.base import init_model
from fdabench.models.sources.base import open_model
from fdabench.models.sources.timm_model import TimmModel
from fdabench.planning.inspect_model import inspect_model
from fdabench.suite.reader import read_suite

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")

SUITE = """
name = "timm"
budget.steps = 2
eval.every_steps = 2
[[workload]]
dataset = "mnist"
model = { kind = "timm", name = "NAME" }
workers = 2
batch_size = 2
optimizer = { kind = "sgd", lr = 0.1 }
[[strategy]]
kind = "synchronous"
"""


@needs_timm
@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_vit", "test_convnext"])
def test_the_engines_agree_on_a_model_of_timm(name: str) -> None:
    facts = inspect_model(open_model(TimmModel(name), "timm")[1], (3, 32, 32) if "conv" in name else (3, 160, 160), 10)
    assert facts.engines_agree, facts
    assert facts.parameters > 10_000


@needs_timm
def test_the_seed_draws_the_weights() -> None:
    name, spec = open_model(TimmModel("test_convnext"), "timm")
    assert name == "timm-test_convnext"
    one, same, other = (init_model(spec, (1, 32, 32), 7, seed).eval() for seed in (1, 1, 2))
    x = torch.rand(2, 1, 32, 32)
    assert one(x).shape == (2, 7)
    assert torch.equal(one(x), same(x))
    assert not torch.equal(one(x), other(x))


@needs_timm
def test_a_name_that_timm_does_not_have_is_reported_as_a_fault_of_the_suite(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(SUITE.replace("NAME", "test_convnex"))
    with pytest.raises(SuiteError) as caught:
        read_suite(path)
    (fault,) = caught.value.faults
    assert ':7: workload.0.model.name: timm has no model "test_convnex"; did you mean "test_convnext' in fault


def test_without_timm_the_message_states_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(WorkloadError, match=r"pip install 'fdabench\[timm\]'"):
        TimmModel("test_vit").build((3, 32, 32), 10)
