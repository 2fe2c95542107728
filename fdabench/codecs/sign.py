"""1-bit messages: signs and a scale for each chunk (EF-SIGNSGD of Karimireddy et al., 2019)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fdabench.codecs.chunks import mean, multiply_chunks_, num_chunks, reduce_chunks
from fdabench.codecs.message_bytes import bytes_to_floats, float_bytes, pack_bits, packed_size, unpack_values
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
        scale_KC = reduce_chunks(mean, m_KD.abs(), self.chunk)
        return torch.cat([pack_bits(m_KD < 0, 1), float_bytes(scale_KC)], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        codes = packed_size(num_parameters, 1)
        sign_KD = unpack_values(packed_KB[:, :codes], (1.0, -1.0), num_parameters)
        return multiply_chunks_(sign_KD, bytes_to_floats(packed_KB[:, codes:]), self.chunk)
