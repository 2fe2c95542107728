"""Optimizers without the calls for torch.compile: the same bits, and a faster start of processes."""

import subprocess
import sys

import pytest
import torch

from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.eager import eager
from fdabench.optimizers.sgd import SGD

CASES = [
    (torch.optim.SGD, {"lr": 0.1}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.01}),
    (torch.optim.AdamW, {"lr": 0.01, "betas": (0.9, 0.95)}),
]


@pytest.mark.parametrize(("torch_class", "settings"), CASES)
def test_ten_steps_equal_those_of_torchs_optimizer_to_the_last_bit(torch_class, settings):
    first, second = (torch.nn.Parameter(torch.linspace(-1, 1, 97)) for _ in range(2))
    expected = torch_class([first], fused=True, **settings)
    ours = eager(torch_class)([second], fused=True, **settings)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        first.grad = torch.randn(97, generator=generator)
        second.grad = first.grad.clone()
        expected.step()
        ours.step()
    assert torch.equal(first, second)
    states = [list(optimizer.state_dict()["state"].get(0, {}).values()) for optimizer in (expected, ours)]
    pairs = zip(*states, strict=True)
    assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


@pytest.mark.parametrize("optimizer", [SGD(lr=0.1), Adam(lr=0.1), AdamW(lr=0.1)])
def test_an_optimizer_is_an_instance_of_torchs_class_and_has_its_name(optimizer):
    built = optimizer.build([torch.nn.Parameter(torch.zeros(3))])
    torch_class = getattr(torch.optim, type(optimizer).__name__)
    assert isinstance(built, torch_class)
    assert type(built).__name__ == torch_class.__name__


def test_a_step_does_not_import_torch_dynamo():
    program = """
import sys, torch
from fdabench.optimizers.adam import Adam
row = torch.nn.Parameter(torch.zeros(3))
optimizer = Adam(lr=0.1).build([row])
row.grad = torch.ones(3)
optimizer.step()
optimizer.zero_grad()
print("torch._dynamo" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
