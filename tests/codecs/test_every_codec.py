"""Properties of every codec that packs messages; linear codecs are tested in other files."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from fdabench.codecs import CODECS
from fdabench.codecs.chunk_topk import ChunkTopK
from fdabench.codecs.qsgd import QSGD
from fdabench.codecs.randk import RandK
from fdabench.codecs.sign import Sign
from fdabench.codecs.topk import TopK
from fdabench.core.channel import Channel
from fdabench.core.codec import Codec, LinearCodec, Reply
from fdabench.core.collective import InProcessCollective
from fdabench.core.counter_rng import derive_key
from fdabench.core.ledger import Ledger
from fdabench.registry.component_fields import component_fields
from support.toy import equal_shares

LENET5 = 61_706
SIZES = (1, 7, 4096, 4097, LENET5)
DRAW_KEY = torch.tensor(2_654_435_769)
CODECS_TESTED: dict[str, Codec] = {
    **{kind: codec for kind, cls in CODECS.items() if not isinstance(codec := cls(), LinearCodec)},
    "topk 30 %": TopK(share=0.3),
    "chunk-topk 3 of 10": ChunkTopK(top=3, chunk=10),
    "randk 30 %": RandK(share=0.3),
    "sign of rows": Sign(chunk=10**9),
    "qsgd of 5 levels": QSGD(levels=5, bucket=33),
    "qsgd of one level": QSGD(levels=1),
}
every_codec = pytest.mark.parametrize("codec", CODECS_TESTED.values(), ids=CODECS_TESTED)
every_size = pytest.mark.parametrize("size", SIZES)


def messages(size: int, workers: int = 4) -> Tensor:
    """Gaussian numbers; the norm of a row differs from worker to worker."""
    rows_KD = torch.randn(workers, size, generator=torch.Generator().manual_seed(size))
    return rows_KD * torch.logspace(-3, 1, workers)[:, None]


def keys(workers: int) -> Tensor:
    return derive_key(DRAW_KEY, torch.arange(workers))


def sent(codec: Codec, m_KD: Tensor) -> Tensor:
    """The decoded messages."""
    return codec.unpack(codec.pack(m_KD, keys(len(m_KD)), DRAW_KEY), m_KD.shape[1], DRAW_KEY)


@every_codec
@every_size
def test_the_forecast_size_is_that_of_the_message_and_of_the_ledger(size: int, codec: Codec) -> None:
    packed_KB = codec.pack(messages(size), keys(4), DRAW_KEY)
    assert packed_KB.dtype == torch.uint8
    assert packed_KB.shape == (4, codec.message_size(size))
    channel = Channel(InProcessCollective(equal_shares(4)), Ledger())
    channel.packed_mean(messages(size), "model", codec, 3)
    (entry,) = channel.ledger.entries
    assert entry.payload_bytes == codec.message_size(size)
    assert (
        entry.down_bytes
        == {"dense": 4 * size, "recode": entry.payload_bytes, "all": 3 * entry.payload_bytes}[codec.reply]
    )


@every_codec
@every_size
def test_a_row_has_the_same_bits_whatever_other_rows_there_are(size: int, codec: Codec) -> None:
    m_KD, key_K = messages(size), keys(4)
    packed_KB, sent_KD = codec.pack(m_KD, key_K, DRAW_KEY), sent(codec, m_KD)
    for rows in (slice(0, 1), slice(3, 4), slice(1, 3)):
        alone_KB = codec.pack(m_KD[rows].clone(), key_K[rows], DRAW_KEY)
        assert torch.equal(alone_KB, packed_KB[rows])
        assert torch.equal(codec.unpack(alone_KB, size, DRAW_KEY), sent_KD[rows])


@every_codec
def test_the_order_of_the_workers_does_not_matter(codec: Codec) -> None:
    order, m_KD, key_K = [2, 0, 3, 1], messages(4097), keys(4)
    packed_KB = codec.pack(m_KD, key_K, DRAW_KEY)
    assert torch.equal(codec.pack(m_KD[order], key_K[order], DRAW_KEY), packed_KB[order])


@every_codec
@every_size
def test_encoding_a_decoded_message_again_changes_nothing(size: int, codec: Codec) -> None:
    """To the last bit, but for scales that are rounded once more; `bits2` shrinks each time, as it says."""
    once_KD = sent(codec, messages(size))
    twice_KD = sent(codec, once_KD)
    if codec == CODECS["bits2"]():
        assert torch.equal(once_KD.sign(), twice_KD.sign())
    else:
        assert torch.allclose(once_KD, twice_KD, rtol=1e-6, atol=0)


@every_codec
def test_a_codec_does_not_change_its_arguments(codec: Codec) -> None:
    m_KD = messages(4097)
    before_KD = m_KD.clone()
    packed_KB = codec.pack(m_KD, keys(4), DRAW_KEY)
    packed_before_KB = packed_KB.clone()
    codec.unpack(packed_KB, 4097, DRAW_KEY)
    assert torch.equal(m_KD, before_KD)
    assert torch.equal(packed_KB, packed_before_KB)


@every_codec
@every_size
def test_zeros_stay_zeros_without_nan(size: int, codec: Codec) -> None:
    assert torch.equal(sent(codec, torch.zeros(2, size)), torch.zeros(2, size))


@every_codec
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_message_of_a_diverged_model_is_not_finite(value: float, codec: Codec) -> None:
    """Of a row with an infinity or NaN something that is not finite arrives; other rows are as without it."""
    m_KD = messages(4097)
    m_KD[1, :] = value
    sent_KD = sent(codec, m_KD)
    assert not sent_KD[1].isfinite().all()
    assert torch.equal(sent_KD[[0, 2, 3]], sent(codec, messages(4097))[[0, 2, 3]])


@every_codec
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_one_number_that_is_not_finite_is_not_finite_after_decoding(value: float, codec: Codec) -> None:
    m_KD = messages(4097)
    m_KD[1, 5] = value
    sent_KD = sent(codec, m_KD)
    assert sent_KD[[0, 2, 3]].isfinite().all()
    if not isinstance(codec, RandK):  # which may leave it out
        assert not sent_KD[1].isfinite().all()


@every_codec
def test_the_mean_does_not_depend_on_the_reply_unless_it_is_encoded_again(codec: Codec) -> None:
    hints = {field.name: field.type_hint for field in component_fields(type(codec))}
    replies = [reply for reply in get_args(hints["reply"]) if reply != "recode"]
    assert set(get_args(hints["reply"])) <= set(get_args(Reply))
    fields = {name: getattr(codec, name) for name in hints} if hints else {}
    means = []
    for reply in replies:
        channel = Channel(InProcessCollective(equal_shares(4)), Ledger())
        varied = type(codec)(**{**fields, "reply": reply})
        means.append(channel.packed_mean(messages(4097), "model", varied, 0))
    assert torch.equal(means[0].mean_D, means[1].mean_D)
    assert torch.allclose(means[0].mean_D, means[0].sent_KD.mean(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("bf16", 123_412),
        ("int8", 61_706 + 4 * 16),
        ("int4", 30_853 + 4 * 16),
        ("bits2", 15_427 + 4 * 16),
        ("qsgd", 30_853 + 4 * 121),
        ("topk", 617 * 4 + 617 * 16 // 8),
        ("chunk-topk", 16 * 112 + 16 * 4),
        ("randk", 617 * 4),
        ("sign", 7_714 + 4 * 16),
        ("sign of rows", 7_718),
    ],
)
def test_the_message_of_lenet5_has_this_many_bytes(kind: str, size: int) -> None:
    assert CODECS_TESTED[kind].message_size(LENET5) == size
