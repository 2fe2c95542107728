"""Properties of single codecs, and their messages for given numbers."""

from math import inf, sqrt

import pytest
import torch
from torch import Tensor

from fdabench.codecs.bits2 import BOUNDARY, INNER, OUTER, Bits2
from fdabench.codecs.chunk_topk import ChunkTopK
from fdabench.codecs.chunks import pairwise_sum
from fdabench.codecs.int4 import Int4
from fdabench.codecs.int8 import Int8
from fdabench.codecs.largest import count_of_share, index_bits, largest
from fdabench.codecs.message_bytes import pack_bits, packed_size, unpack_bits
from fdabench.codecs.qsgd import QSGD
from fdabench.codecs.randk import RandK
from fdabench.codecs.sign import Sign
from fdabench.codecs.topk import TopK
from fdabench.core.channel import Channel
from fdabench.core.codec import Codec
from fdabench.core.collective import InProcessCollective
from fdabench.core.counter_rng import derive_key
from fdabench.core.ledger import Ledger
from support.toy import equal_shares

DRAW_KEY = torch.tensor(7)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sent(codec: Codec, m_KD: Tensor, draw: int = 7) -> Tensor:
    draw_key = torch.tensor(draw)
    packed_KB = codec.pack(m_KD, derive_key(draw_key, torch.arange(len(m_KD))), draw_key)
    return codec.unpack(packed_KB, m_KD.shape[1], draw_key)


@pytest.mark.parametrize("width", range(1, 21))
@pytest.mark.parametrize("count", [1, 7, 8, 63])
def test_packed_bits_have_the_declared_size_and_are_unpacked_exactly(count: int, width: int) -> None:
    code_KN = torch.randint(0, 1 << width, (3, count), generator=torch.Generator().manual_seed(width))
    packed_KB = pack_bits(code_KN, width)
    assert packed_KB.dtype == torch.uint8
    assert packed_KB.shape == (3, packed_size(count, width))
    assert torch.equal(unpack_bits(packed_KB, width, count).long(), code_KN)


@pytest.mark.parametrize("size", [1, 2, 3, 1000, 4096])
def test_a_pairwise_sum_equals_a_sum(size: int) -> None:
    x = normal(2, 3, size)
    assert torch.allclose(pairwise_sum(x), x.double().sum(-1).float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("codec", "levels"), [(Int8(), 127), (Int4(), 7), (Int8(chunk=100), 127)])
@pytest.mark.parametrize("spread", [1e-30, 1.0, 1e30])
def test_the_rounding_error_is_at_most_half_a_step(spread: float, codec: Int8 | Int4, levels: int) -> None:
    m_KD = spread * normal(3, 10_000)
    step = max(m_KD[:, at : at + codec.chunk].abs().max().item() for at in range(0, 10_000, codec.chunk)) / levels
    assert (sent(codec, m_KD) - m_KD).abs().max() <= 0.5 * step * (1 + 1e-4)
    assert torch.allclose(sent(codec, m_KD).abs().max(), m_KD.abs().max())


def test_int8_of_given_numbers() -> None:
    m_KD = torch.tensor([[127.0, -127.0, 0.5, 1.5, -2.4, 0.0]])
    assert sent(Int8(), m_KD).tolist() == [[127.0, -127.0, 0.0, 2.0, -2.0, 0.0]]  # ties go to even


def test_int4_of_given_numbers() -> None:
    m_KD = torch.tensor([[14.0, -14.0, 2.9, 3.1, -1.1, 0.9]])
    assert sent(Int4(), m_KD).tolist() == [[14.0, -14.0, 2.0, 4.0, -2.0, 0.0]]


def test_each_chunk_has_its_own_scale() -> None:
    m_KD = torch.cat([normal(1, 100), 1e-6 * normal(1, 100, seed=1)], 1)
    assert torch.allclose(sent(Int8(chunk=100), m_KD)[:, 100:], m_KD[:, 100:], rtol=0, atol=4e-8)
    assert sent(Int8(), m_KD)[:, 100:].abs().max() == 0


def test_int8_of_subnormal_numbers_is_zero() -> None:
    assert sent(Int8(), torch.tensor([[1e-44, -3e-44, 0.0]])).tolist() == [[0.0, 0.0, 0.0]]


def test_two_bits_have_the_published_distortion_of_gaussian_numbers() -> None:
    """Max (1960), table I: 0.1175 for four values and a variance of one; 10^6 numbers give it within 0.001."""
    m_KD = normal(1, 1_000_000)
    error = (sent(Bits2(), m_KD) - m_KD).square().mean().item()
    assert error == pytest.approx(0.1175, abs=0.001)
    assert pytest.approx((INNER + OUTER) / 2, abs=1e-4) == BOUNDARY
    assert sent(Bits2(), m_KD).norm() / m_KD.norm() == pytest.approx(sqrt(1 - 0.1175), abs=0.001)


@pytest.mark.parametrize("codec", [QSGD(), QSGD(levels=1, bucket=64), QSGD(levels=100)], ids=repr)
def test_qsgd_is_unbiased(codec: QSGD) -> None:
    """The mean of n draws is within six standard errors of the message for each of 1,000 numbers.

    A draw is off by less than a step, M / s, so its standard deviation is at most half a step.
    """
    draws, m_D = 4_000, normal(1000)
    key_K = derive_key(torch.tensor(1), torch.arange(draws))
    m_KD = m_D.expand(draws, -1)
    sent_KD = codec.unpack(codec.pack(m_KD, key_K, DRAW_KEY), 1000, DRAW_KEY)
    step = m_D.abs().max() / codec.levels
    assert (sent_KD - m_D).abs().max() <= step * (1 + 1e-5)
    assert (sent_KD.double().mean(0) - m_D).abs().max() < 6 * 0.5 * step / sqrt(draws)
    assert len(sent_KD.unique(dim=0)) == draws


def test_qsgd_with_many_levels_is_nearly_exact() -> None:
    m_KD = normal(2, 1000)
    assert torch.allclose(sent(QSGD(levels=1 << 20), m_KD), m_KD, rtol=0, atol=1e-5)


def test_qsgd_draws_different_numbers_for_each_worker_and_sync() -> None:
    same_KD = normal(1, 1000).expand(2, -1)
    first, second = sent(QSGD(), same_KD, 1), sent(QSGD(), same_KD, 2)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, second)


def test_random_bits_depend_on_the_seed_of_the_channel() -> None:
    channels = [Channel(InProcessCollective(equal_shares(2)), Ledger(), seed=seed) for seed in (0, 0, 1)]
    means = [channel.packed_mean(normal(2, 1000), "model", QSGD(), 0).mean_D for channel in channels]
    assert torch.equal(means[0], means[1])
    assert not torch.equal(means[0], means[2])


def test_the_largest_numbers_are_selected_and_ties_by_the_smallest_index() -> None:
    m_KD = torch.tensor([[1.0, -3.0, 3.0, 0.0, -3.0, 2.0], [0.0, -0.0, 0.0, 0.0, 0.0, 0.0]])
    assert largest(m_KD, 2).sort().values.tolist() == [[1, 2], [0, 1]]
    assert largest(m_KD, 4).sort().values.tolist() == [[1, 2, 4, 5], [0, 1, 2, 3]]
    diverged = torch.tensor([[1.0, inf, float("nan"), -inf]])
    assert largest(diverged, 1).sort().values.tolist() == [[2]]
    assert largest(diverged, 2).sort().values.tolist() == [[1, 2]]


SHORT, LONG = 1000, 20_001
"""Lengths of rows that `largest` sorts with torch, and on a CPU with NumPy."""


@pytest.mark.parametrize(
    ("size", "k"),
    [(SHORT, k) for k in (1, 7, 15, 16, 50, 62, 63, SHORT)] + [(LONG, k) for k in (1, 312, 313, 1250, 1251, LONG)],
)
@pytest.mark.parametrize("ties", [True, False])
def test_the_selected_numbers_are_those_of_a_stable_sort(size: int, k: int, ties: bool) -> None:
    m_KD = normal(3, size).mul(4).round() if ties else normal(3, size)
    expected_Kk = m_KD.abs().sort(dim=-1, descending=True, stable=True).indices[:, :k].sort(-1).values
    assert torch.equal(largest(m_KD, k).sort().values, expected_Kk)
    assert torch.equal(largest(m_KD[:, None], k)[:, 0].sort().values, expected_Kk)


def test_in_long_rows_nan_is_above_infinity_and_zeros_are_selected_in_order() -> None:
    m_KD = torch.zeros(3, LONG)
    m_KD[0, [LONG - 1, 5, 9]] = torch.tensor([-inf, float("nan"), 1e30])
    m_KD[1, LONG - 1] = -1e-30
    assert largest(m_KD, 2).sort().values.tolist() == [[5, LONG - 1], [0, LONG - 1], [0, 1]]
    assert largest(m_KD, 5)[2].sort().values.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("share", "size", "k"), [(0.01, 61_706, 617), (0.29, 100, 29), (0.01, 7, 1), (1.0, 7, 7), (1e-5, 250_000, 2)]
)
def test_a_fraction_selects_the_count_of_its_decimal_text(share: float, size: int, k: int) -> None:
    assert count_of_share(share, size) == k


@pytest.mark.parametrize(("size", "bits"), [(1, 1), (2, 1), (3, 2), (4096, 12), (4097, 13), (61_706, 16), (65_537, 17)])
def test_an_index_has_as_few_bits_as_it_needs(size: int, bits: int) -> None:
    assert index_bits(size) == bits


def test_topk_of_given_numbers() -> None:
    m_KD = torch.tensor([[1.0, -5.0, 0.0, 5.0, 4.0], [0.0, 0.0, 0.0, 0.0, -1e-30]])
    assert sent(TopK(0.4), m_KD).tolist() == [[0.0, -5.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 0.0, m_KD[1, 4].item()]]


def test_topk_of_all_numbers_changes_no_bit() -> None:
    m_KD = torch.cat([normal(2, 1000), torch.tensor([[-0.0, inf], [float("nan"), 1e-45]])], 1)
    assert sent(TopK(1.0), m_KD).view(torch.int32).equal(m_KD.view(torch.int32))


def test_chunk_topk_of_given_numbers() -> None:
    """Of 8, -4, 3, 1 the mean is 4: above it is 8 alone, the others have a mean of 8 / 3, as bfloat16 2.671875."""
    m_KD = torch.tensor([[8.0, -4.0, 0.5, 3.0, 1.0, 0.0, 0.0, 0.0, 2.0, -2.0]])
    expected = [[8.0, -2.671875, 0.0, 2.671875, 2.671875, 0.0, 0.0, 0.0, 2.0, -2.0]]
    assert sent(ChunkTopK(top=4, chunk=8), m_KD).tolist() == expected


def test_chunk_topk_sends_its_64_of_each_chunk() -> None:
    m_KD = normal(1, 3 * 4096)
    sent_KD = sent(ChunkTopK(), m_KD)
    assert (sent_KD != 0).view(3, 4096).sum(1).tolist() == [64] * 3
    assert (sent_KD * m_KD >= 0).all()
    assert all(len(chunk.abs().unique()) == 3 for chunk in sent_KD.view(3, 4096))


def test_randk_has_the_same_indices_for_all_workers_and_others_at_the_next_sync() -> None:
    m_KD, codec = normal(3, 1000), RandK(0.1)
    first, second = sent(codec, m_KD, 1), sent(codec, m_KD, 2)
    assert ((first != 0) == (first[0] != 0)).all()
    assert (first != 0).sum(1).tolist() == [100] * 3
    assert torch.equal(first[first != 0], m_KD[first != 0])
    assert 0 < ((first != 0) & (second != 0)).sum() < 150
    assert torch.equal(sent(RandK(1.0), m_KD), m_KD)


def test_randk_draws_every_index_equally_often() -> None:
    """2,000 draws of 10 in 50: each index 400 times, standard deviation 18; six of them."""
    ones_KD = torch.ones(1, 50)
    counts_D = sum(sent(RandK(0.2), ones_KD, draw)[0] for draw in range(2000))
    assert (counts_D - 400).abs().max() < 6 * 18


def test_the_mean_of_randk_that_is_packed_again_is_the_same() -> None:
    recode, dense = (
        Channel(InProcessCollective(equal_shares(3)), Ledger()).packed_mean(
            normal(3, 1000), "model", RandK(0.1, reply), 5
        )
        for reply in ("recode", "dense")
    )
    assert torch.equal(recode.mean_D, dense.mean_D)


def test_sign_of_given_numbers() -> None:
    m_KD = torch.tensor([[1.0, -2.0, 0.0, -0.0, 7.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert sent(Sign(), m_KD).tolist() == [[2.0, -2.0, 2.0, 2.0, 2.0], [0.0] * 5]


def test_the_mean_of_signs_is_that_of_decoded_messages() -> None:
    """Scales of 1 and 3, opposite signs: -1, where the product of both means would be 0."""
    m_KD = torch.tensor([[1.0, 1.0], [-3.0, -3.0]])
    channel = Channel(InProcessCollective(equal_shares(2)), Ledger())
    assert channel.packed_mean(m_KD, "model", Sign(), 0).mean_D.tolist() == [-1.0, -1.0]
