"""Every server against numbers computed by hand: one weight with initial value 0, and mean drifts of 1 and then -2."""

from collections.abc import Sequence
from math import nan, sqrt

import pytest
import torch

from fdabench.core.strategy import RoundInfo, ServerOptimizer
from fdabench.servers.adagrad import Adagrad
from fdabench.servers.adam import KerasAdam, ReddiAdam
from fdabench.servers.average import Average
from fdabench.servers.dyn import DynServer
from fdabench.servers.momentum import Momentum
from fdabench.servers.nesterov import Nesterov
from fdabench.servers.slowmo import SlowMo
from fdabench.servers.yogi import Yogi

ONE_STEP = RoundInfo(0, 1, lambda t: 0.1)


def two_rounds(server: ServerOptimizer) -> list[float]:
    return rounds(server, (1.0, -2.0))


def rounds(server: ServerOptimizer, drifts: Sequence[float]) -> list[float]:
    w_D = torch.zeros(1, dtype=torch.float64)
    state, actual = server.init(w_D), []
    for drift in drifts:
        w_D, state = server.update(w_D, torch.tensor([drift], dtype=torch.float64), state, ONE_STEP)
        actual.append(w_D.item())
    return actual


def test_average_adds_the_mean_drift() -> None:
    assert two_rounds(Average()) == [1.0, -1.0]


def test_momentum_by_hand() -> None:
    """v = 1, 0.9 - 2 = -1.1; w = 0.5, 0.5 - 0.55."""
    assert two_rounds(Momentum(lr=0.5, momentum=0.9)) == pytest.approx([0.5, -0.05])


def test_the_adam_of_reddi_by_hand() -> None:
    """m = 0.1, -0.11; v from tau^2 = 0.01: 0.0199, 0.059701; roots 0.1410674, 0.2443379; no bias correction.

    w = 0.1 * 0.1 / 0.2410674, less 0.1 * 0.11 / 0.3443379.
    """
    actual = two_rounds(ReddiAdam(lr=0.1, beta1=0.9, beta2=0.99, tau=0.1))
    assert actual == pytest.approx([0.04148218, 0.00953675], abs=1e-7)


def test_the_adam_of_keras_by_hand() -> None:
    """m = 0.1, -0.11; v from 0: 0.01, 0.0499; roots 0.1, 0.2233831; lr 0.1 * 0.1 / 0.1 and 0.1 * 0.1410674 / 0.19.

    w = 0.1 * 0.1 / 0.11, less 0.07424598 * 0.11 / 0.2333831.
    """
    actual = two_rounds(KerasAdam(lr=0.1, beta1=0.9, beta2=0.99, eps=0.01))
    assert actual == pytest.approx([0.09090909, 0.05591478], abs=1e-7)


def test_keras_adam_equals_torchs_adam_except_for_the_position_of_eps() -> None:
    """torch adds eps to sqrt(v / (1 - beta2^n)), Keras to sqrt(v): with eps / sqrt(1 - beta2^n) torch is equal."""
    server, eps, beta2 = KerasAdam(lr=0.03, eps=1e-3), 1e-3, 0.999
    generator = torch.Generator().manual_seed(8)
    ours_D = torch.randn(50, dtype=torch.float64, generator=generator)
    expected = torch.nn.Parameter(ours_D.clone())
    optimizer = torch.optim.Adam([expected], lr=0.03, betas=(0.9, beta2))
    state = server.init(ours_D)
    for n in range(1, 21):
        u_D = 1e-3 * torch.randn(50, dtype=torch.float64, generator=generator)
        ours_D, state = server.update(ours_D, u_D, state, ONE_STEP)
        optimizer.param_groups[0]["eps"] = eps / sqrt(1 - beta2**n)
        expected.grad = -u_D
        optimizer.step()
    assert (ours_D - expected.detach()).abs().max() < 1e-12


FOUR_DRIFTS = (1.0, 2.0, -1.0, 0.5)


def test_nesterov_by_hand() -> None:
    """v = 1, 2.9, 1.61, 1.949; steps 0.7 (u + 0.9 v)."""
    assert rounds(Nesterov(), FOUR_DRIFTS) == pytest.approx([1.33, 4.557, 4.8713, 6.44917], abs=1e-9)


def test_yogi_by_hand() -> None:
    """m = 0.1, 0.29, 0.161, 0.1949; v from 1e-6 by 0.01 u^2, up each time because v stays below u^2."""
    actual = rounds(Yogi(lr=0.1), FOUR_DRIFTS)
    assert actual == pytest.approx([0.099005, 0.228118, 0.293578, 0.371227], abs=1e-6)


def test_yogi_decreases_the_second_moment_slowly() -> None:
    """After a drift of 1, v = 0.01 + 1e-6; a drift of 0 leaves it, where Adam's v falls by a factor of beta2."""
    server, w_D = Yogi(), torch.zeros(1, dtype=torch.float64)
    _, state = server.update(w_D, torch.ones_like(w_D), server.init(w_D), ONE_STEP)
    _, (_, v_D) = server.update(w_D, torch.zeros_like(w_D), state, ONE_STEP)
    assert v_D.item() == pytest.approx(0.01 + 1e-6, rel=1e-12)


def test_adagrad_by_hand() -> None:
    """v = 1, 5, 6, 6.25 and 1e-6."""
    actual = rounds(Adagrad(lr=0.1), FOUR_DRIFTS)
    assert actual == pytest.approx([0.0999, 0.189303, 0.148495, 0.168487], abs=1e-6)


def test_nesterov_equals_torchs_sgd_on_the_pseudo_gradient() -> None:
    server = Nesterov(lr=0.3, momentum=0.8)
    generator = torch.Generator().manual_seed(10)
    ours_D = torch.randn(50, dtype=torch.float64, generator=generator)
    expected = torch.nn.Parameter(ours_D.clone())
    optimizer = torch.optim.SGD([expected], lr=0.3, momentum=0.8, nesterov=True)
    state = server.init(ours_D)
    for _ in range(20):
        u_D = 1e-2 * torch.randn(50, dtype=torch.float64, generator=generator)
        ours_D, state = server.update(ours_D, u_D, state, ONE_STEP)
        expected.grad = -u_D
        optimizer.step()
    assert (ours_D - expected.detach()).abs().max() < 1e-14


@pytest.mark.parametrize("server", [Momentum(lr=1.0, momentum=0.0), Nesterov(lr=1.0, momentum=0.0)])
def test_momentum_zero_equals_the_average(server: Momentum | Nesterov) -> None:
    generator = torch.Generator().manual_seed(9)
    w_D, u_D = torch.randn(2, 100, generator=generator)
    assert server.is_plain_average
    assert torch.equal(
        server.update(w_D, u_D, server.init(w_D), ONE_STEP)[0], Average().update(w_D, u_D, (), ONE_STEP)[0]
    )


def test_the_defaults_are_the_published_ones() -> None:
    """Reddi et al. (2021): beta1 0.9, beta2 0.99, tau 1e-3. Keras, as the FDA paper ran it: 1e-3, 0.9, 0.999, 1e-7.

    OpenDiLoCo and torchft: 0.7, 0.9. Flower's lr of FedYogi and FedAdagrad: 1e-2, 1e-1.
    """
    assert Nesterov() == Nesterov(lr=0.7, momentum=0.9)
    assert Yogi() == Yogi(lr=1e-2, beta1=0.9, beta2=0.99, tau=1e-3)
    assert Adagrad() == Adagrad(lr=1e-1, tau=1e-3)
    assert ReddiAdam() == ReddiAdam(beta1=0.9, beta2=0.99, tau=1e-3)
    assert KerasAdam() == KerasAdam(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-7)


def test_slowmo_by_hand() -> None:
    """Drifts of 1, 2, -1, 0.5 at learning rates of 0.1, 0.1, 0.05, 0.05: the momentum is halved with the lr."""
    server, w_D, actual = SlowMo(), torch.zeros(1, dtype=torch.float64), []
    state = server.init(w_D)
    for drift, lr in zip(FOUR_DRIFTS, (0.1, 0.1, 0.05, 0.05), strict=True):
        info = RoundInfo(0, 5, lambda t, lr=lr: lr)  # type: ignore[misc]
        w_D, state = server.update(w_D, torch.tensor([drift], dtype=torch.float64), state, info)
        actual.append(w_D.item())
    assert actual == pytest.approx([1.0, 3.5, 3.125, 3.4375], abs=1e-12)


def test_slowmo_at_a_constant_learning_rate_equals_momentum() -> None:
    slow, momentum = SlowMo(alpha=0.7, beta=0.6), Momentum(lr=0.7, momentum=0.6)
    assert rounds(slow, FOUR_DRIFTS) == rounds(momentum, FOUR_DRIFTS)


def test_slowmo_restarts_after_a_learning_rate_of_zero_and_requires_a_learning_rate() -> None:
    server, w_D = SlowMo(), torch.zeros(1)
    one = torch.ones(1)
    _, state = server.update(w_D, one, server.init(w_D), RoundInfo(0, 1, lambda t: 0.0))
    w_D, _ = server.update(w_D, one, state, RoundInfo(1, 2, lambda t: 0.1))
    assert w_D.item() == 1.0
    with pytest.raises(ValueError, match="the local optimizer has no lr"):
        server.update(w_D, one, state, RoundInfo(1, 2, lambda t: nan))


def test_the_server_of_feddyn_equals_nesterov_with_momentum_one() -> None:
    """FedDyn: m <- m - alpha u, w <- w + u - m / alpha; for alpha = 0.25 and the drifts 1, 2: 2, 2 + 2 + 3."""
    assert rounds(DynServer(), FOUR_DRIFTS[:2]) == [2.0, 7.0]
