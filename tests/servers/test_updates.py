"""Every server against numbers worked by hand: one weight that begins at 0, and mean drifts of 1 and then -2."""

from math import sqrt

import pytest
import torch

from fdabench.core.strategy import ServerOptimizer
from fdabench.servers.adam import KerasAdam, ReddiAdam
from fdabench.servers.average import Average
from fdabench.servers.momentum import Momentum


def two_rounds(server: ServerOptimizer) -> list[float]:
    w_D = torch.zeros(1, dtype=torch.float64)
    state, found = server.init(w_D), []
    for drift in (1.0, -2.0):
        w_D, state = server.update(w_D, torch.tensor([drift], dtype=torch.float64), state)
        found.append(w_D.item())
    return found


def test_average_adds_the_mean_drift() -> None:
    assert two_rounds(Average()) == [1.0, -1.0]


def test_momentum() -> None:
    """v = 1, 0.9 - 2 = -1.1; w = 0.5, 0.5 - 0.55."""
    assert two_rounds(Momentum(lr=0.5, momentum=0.9)) == pytest.approx([0.5, -0.05])


def test_the_adam_of_reddi() -> None:
    """m = 0.1, -0.11; v from tau^2 = 0.01: 0.0199, 0.059701; roots 0.1410674, 0.2443379; no bias correction.

    w = 0.1 * 0.1 / 0.2410674, less 0.1 * 0.11 / 0.3443379.
    """
    found = two_rounds(ReddiAdam(lr=0.1, beta1=0.9, beta2=0.99, tau=0.1))
    assert found == pytest.approx([0.04148218, 0.00953675], abs=1e-7)


def test_the_adam_of_keras() -> None:
    """m = 0.1, -0.11; v from 0: 0.01, 0.0499; roots 0.1, 0.2233831; lr 0.1 * 0.1 / 0.1 and 0.1 * 0.1410674 / 0.19.

    w = 0.1 * 0.1 / 0.11, less 0.07424598 * 0.11 / 0.2333831.
    """
    found = two_rounds(KerasAdam(lr=0.1, beta1=0.9, beta2=0.99, eps=0.01))
    assert found == pytest.approx([0.09090909, 0.05591478], abs=1e-7)


def test_keras_adam_is_torchs_but_for_the_place_of_eps() -> None:
    """torch adds eps to sqrt(v / (1 - beta2^n)), Keras to sqrt(v): with eps / sqrt(1 - beta2^n) torch is equal."""
    server, eps, beta2 = KerasAdam(lr=0.03, eps=1e-3), 1e-3, 0.999
    generator = torch.Generator().manual_seed(8)
    ours_D = torch.randn(50, dtype=torch.float64, generator=generator)
    theirs = torch.nn.Parameter(ours_D.clone())
    optimizer = torch.optim.Adam([theirs], lr=0.03, betas=(0.9, beta2))
    state = server.init(ours_D)
    for n in range(1, 21):
        u_D = 1e-3 * torch.randn(50, dtype=torch.float64, generator=generator)
        ours_D, state = server.update(ours_D, u_D, state)
        optimizer.param_groups[0]["eps"] = eps / sqrt(1 - beta2**n)
        theirs.grad = -u_D
        optimizer.step()
    assert (ours_D - theirs.detach()).abs().max() < 1e-12


def test_momentum_of_nothing_is_the_average() -> None:
    generator = torch.Generator().manual_seed(9)
    w_D, u_D = torch.randn(2, 100, generator=generator)
    server = Momentum(lr=1.0, momentum=0.0)
    assert torch.equal(server.update(w_D, u_D, server.init(w_D))[0], Average().update(w_D, u_D, ())[0])


def test_the_defaults_are_the_published_ones() -> None:
    """Reddi et al. (2021): beta1 0.9, beta2 0.99, tau 1e-3. Keras, as the FDA paper ran it: 1e-3, 0.9, 0.999, 1e-7."""
    assert ReddiAdam() == ReddiAdam(beta1=0.9, beta2=0.99, tau=1e-3)
    assert KerasAdam() == KerasAdam(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-7)
