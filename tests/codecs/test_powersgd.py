"""PowerSGD: its message sizes, matrices that it sends exactly, and equality with torch's implementation."""

from fractions import Fraction
from math import prod

import pytest
import torch
from torch import Tensor

from fdabench.codecs.powersgd import PowerSGD
from fdabench.core.codec import Layout, LinearMean, TensorSlice
from fdabench.core.strategy import PlannedRun
from fdabench.engine.flatten import row_layout
from fdabench.models import MODELS
from fdabench.monitors.linear import Linear
from fdabench.planning.forecast import RunSize, forecast_strategy
from fdabench.servers.nesterov import Nesterov
from fdabench.strategies.fda import FDA
from fdabench.strategies.fedavg import FedAvg
from support.launch import launch
from support.rank_tasks import torch_powersgd
from support.toy import PARAMETERS, STEPS, WORKERS, layout, train

KEY = torch.tensor(2_654_435_769)
SHAPES = ((12, 8), (5,), (10, 3, 3, 2), (7, 9))


def layout_of(*shapes: tuple[int, ...]) -> Layout:
    actual, start = [], 0
    for index, shape in enumerate(shapes):
        actual.append(TensorSlice(f"layer{index}.weight", start, start + prod(shape), shape))
        start += prod(shape)
    return tuple(actual)


def average(codec: PowerSGD, m_KD: Tensor, where: Layout, state: tuple[Tensor, ...] | None = None) -> LinearMean:
    state = codec.init(where, KEY) if state is None else state
    return codec.average(m_KD, where, state, lambda x_KN: x_KN.mean(0))


def test_messages_of_lenet5_with_rank_2_have_this_many_bytes() -> None:
    """2 (n + m) numbers of each of five kernels, and 236 biases: 2,266 numbers."""
    where = row_layout(MODELS["lenet5"].build((1, 28, 28), 10))
    rows, columns = (6, 16, 120, 84, 10), (25, 150, 400, 120, 84)
    assert PowerSGD(2).message_sizes(where) == (4 * (2 * sum(rows) + 236), 4 * 2 * sum(columns))
    assert sum(PowerSGD(2).message_sizes(where)) == 9_064


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 100])
def test_the_forecast_size_is_that_of_the_messages(rank: int) -> None:
    sent: list[int] = []

    def mean(x_KN: Tensor) -> Tensor:
        sent.append(x_KN[0].nbytes)
        return x_KN.mean(0)

    where = layout_of(*SHAPES)
    m_KD, codec = torch.randn(3, where[-1].stop, generator=torch.Generator().manual_seed(1)), PowerSGD(rank)
    codec.average(m_KD, where, codec.init(where, KEY), mean)
    assert tuple(sent) == codec.message_sizes(where)
    assert sum(sent) <= m_KD[0].nbytes


def test_matrices_of_the_rank_are_sent_exactly() -> None:
    """Matrices A B_k with two columns in A: the mean is in the span of A, which P finds."""
    generator = torch.Generator().manual_seed(2)
    a, b_K = torch.randn(12, 2, generator=generator), torch.randn(3, 2, 8, generator=generator)
    m_KD = (a @ b_K).flatten(1)
    actual = average(PowerSGD(2), m_KD, layout_of((12, 8)))
    assert torch.allclose(actual.mean_D, m_KD.mean(0), rtol=0, atol=2e-6)
    assert torch.equal(actual.sent_KD, actual.mean_D.expand_as(m_KD))


def test_the_warm_start_finds_the_best_matrix_of_its_rank() -> None:
    """Repeated on one matrix it is a power iteration, which ends at the truncated singular value decomposition."""
    m = torch.randn(12, 8, generator=torch.Generator().manual_seed(3))
    u, s, vh = torch.linalg.svd(m, full_matrices=False)
    best = (u[:, :2] * s[:2]) @ vh[:2]
    state, errors = None, []
    for _ in range(200):
        actual = average(PowerSGD(2), m.flatten()[None], layout_of((12, 8)), state)
        state = actual.state
        errors.append((actual.mean_D.view(12, 8) - best).norm().item())
    assert errors[-1] < 1e-4 < errors[0]


def test_vectors_and_small_matrices_are_sent_uncompressed() -> None:
    where = layout_of((12, 8), (5,), (3, 2))
    m_KD = torch.randn(2, where[-1].stop, generator=torch.Generator().manual_seed(4))
    actual = average(PowerSGD(2), m_KD, where)
    assert torch.equal(actual.mean_D[96:], m_KD.mean(0)[96:])
    assert torch.equal(actual.sent_KD[:, 96:], m_KD[:, 96:])
    assert not torch.allclose(actual.mean_D[:96], m_KD.mean(0)[:96])


@pytest.mark.parametrize("plain", [FedAvg(Fraction(5, 2), Nesterov()), FDA(0.06, Linear())], ids=repr)
def test_with_full_rank_the_result_is_that_without_a_codec(plain: FedAvg | FDA) -> None:
    whole = train(type(plain)(**{**vars(plain), "codec": PowerSGD(8), "feedback": 1.0}))
    ran = train(plain)
    assert torch.equal(whole.w_KD, ran.w_KD)
    assert whole[1:] == ran[1:]


def test_the_sent_message_plus_the_residual_is_the_input() -> None:
    """With a decay of 1: sum of sent + mean residual = sum of mean messages, to the rounding of sums of 12 numbers."""
    where, codec = layout_of(*SHAPES), PowerSGD(1)
    u_RKD = torch.randn(12, 3, where[-1].stop, generator=torch.Generator().manual_seed(5))
    residual_KD, total_D, state = torch.zeros_like(u_RKD[0]), torch.zeros_like(u_RKD[0, 0]), None
    for u_KD in u_RKD:
        mean_D, sent_KD, state = average(codec, residual_KD + u_KD, where, state)
        residual_KD, total_D = residual_KD + u_KD - sent_KD, total_D + mean_D
    assert torch.allclose(total_D + residual_KD.mean(0), u_RKD.mean(1).sum(0), rtol=0, atol=1e-4)


def test_zeros_are_sent_as_zeros_and_a_diverged_model_is_not_finite() -> None:
    where = layout_of(*SHAPES)
    m_KD = torch.zeros(2, where[-1].stop)
    quiet = average(PowerSGD(2), m_KD, where)
    assert not quiet.mean_D.any()
    m_KD[1, 3] = float("nan")
    assert average(PowerSGD(2), m_KD, where, quiet.state).mean_D.isnan().any()


def test_the_seed_of_the_first_factors_is_the_key() -> None:
    where, codec = layout_of(*SHAPES), PowerSGD(2)
    again = zip(codec.init(where, KEY), codec.init(where, KEY), strict=True)
    assert all(torch.equal(one, other) for one, other in again)
    assert not torch.equal(codec.init(where, KEY)[0], codec.init(where, KEY + 1)[0])


def test_the_ledger_has_both_messages_and_the_forecast_all_collectives() -> None:
    strategy = FedAvg(Fraction(5), codec=PowerSGD(1), feedback=1.0)
    ran, (first, second) = train(strategy), PowerSGD(1).message_sizes(layout())
    facts = [(entry.kind, entry.count, entry.payload_bytes, entry.operation) for entry in ran.entries]
    assert facts == [
        ("initial", 1, 4 * PARAMETERS, "all_reduce"),
        ("model", 6, first, "all_reduce"),
        ("factor", 6, second, "all_reduce"),
    ]
    planned, size = PlannedRun(STEPS, PARAMETERS, lambda t: 0.2, layout()), RunSize(WORKERS, PARAMETERS, STEPS)
    volume = forecast_strategy(strategy, planned, size, (), "paper").low
    assert volume.sequential_messages == 2 * sum(count for _, count, _, _ in facts)  # up and down


@pytest.mark.slow
def test_means_and_residuals_equal_those_of_torchs_powersgd_hook() -> None:
    """Two processes, the same start, six syncs with residuals: equal to the rounding of sums of 12 products."""
    where, codec = layout_of(*SHAPES), PowerSGD(2)
    u_TKD = torch.randn(6, 2, where[-1].stop, generator=torch.Generator().manual_seed(6))
    first = codec.init(where, KEY)
    theirs_TD = launch(torch_powersgd, 2, u_TKD, SHAPES, 2, first)[0]
    residual_KD, state = torch.zeros_like(u_TKD[0]), first
    for u_KD, their_D in zip(u_TKD, theirs_TD, strict=True):
        mean_D, sent_KD, state = average(codec, residual_KD + u_KD, where, state)
        residual_KD = residual_KD + u_KD - sent_KD
        assert torch.allclose(mean_D, their_D, rtol=0, atol=2e-4)
    assert mean_D.abs().max() > 0.5
