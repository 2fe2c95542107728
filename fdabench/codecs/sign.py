"""1-bit messages: signs and a scale for each chunk (EF-SIGNSGD of Karimireddy et al., 2019)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fdabench.codecs.chunks import (
    bytes_to_floats,
    chunk_lengths,
    float_bytes,
    join_chunks,
    num_chunks,
    pack_bits,
    packed_size,
    pairwise_sum,
    split_chunks,
    unpack_bits,
)
from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import Count


@dataclass(frozen=True)
class Sign:
    """Send the signs and the mean magnitude: ceil(D / 8) + 4 ceil(D / chunk) bytes.

    C(m) = sign(m) mean |m|, the mean over a chunk of 4,096 numbers; the paper has one for each layer. sign(0) = +1, so
    that a sign is one bit. The mean is that of decoded messages: a mean of signs times a mean of scales is another one.
    There is no reply `recode`, as nothing would make up for what the server leaves out.
    """

    reply: Literal["dense", "all"] = "all"
    chunk: Count = 4096
    needs_feedback: ClassVar[bool] = True
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="sign",
        formula="C(m) = sign(m) mean|m| of a chunk, sign(0) = +1",
        references=("karimireddy2019", "bernstein2018"),
    )

    def message_size(self, num_parameters: int) -> int:
        return packed_size(num_parameters, 1) + 4 * num_chunks(num_parameters, self.chunk)

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        lengths_C = chunk_lengths(m_KD.shape[1], self.chunk, m_KD.device)
        scale_KC = pairwise_sum(split_chunks(m_KD.abs(), self.chunk)) / lengths_C
        return torch.cat([pack_bits(m_KD < 0, 1), float_bytes(scale_KC)], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        codes = packed_size(num_parameters, 1)
        is_negative_KD = unpack_bits(packed_KB[:, :codes], 1, num_parameters)
        sign_KCT = split_chunks(1 - 2 * is_negative_KD.float(), self.chunk)
        return join_chunks(sign_KCT * bytes_to_floats(packed_KB[:, codes:])[..., None], num_parameters)
