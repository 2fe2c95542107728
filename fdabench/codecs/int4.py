"""4-bit integer messages: symmetric linear quantization, with a scale for each chunk."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.codecs.chunks import multiply_chunks_, num_chunks
from fdabench.codecs.message_bytes import bytes_to_floats, float_bytes, pack_bits, packed_size, unpack_bits
from fdabench.codecs.quantize import quantize
from fdabench.component_info import ComponentInfo
from fdabench.core.codec import Reply
from fdabench.hyperparameters import Count


@dataclass(frozen=True)
class Int4:
    """Round each number to one of 15 evenly spaced values: ceil(D / 2) + 4 ceil(D / chunk) bytes.

    q = round(m / s), s = max |m| / 7 over a chunk of 4,096 numbers; C(m) = s q. Numbers below s / 2 become zero, which
    are most of a chunk with an outlier: a smaller chunk or error feedback helps.
    """

    reply: Reply = "recode"
    chunk: Count = 4096
    needs_feedback: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="int4", formula="C(m) = s round(m/s), s = max|m|/7 of a chunk", references=("wu2020", "dettmers2022")
    )

    def message_size(self, num_parameters: int) -> int:
        return packed_size(num_parameters, 4) + 4 * num_chunks(num_parameters, self.chunk)

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        q_KD, scale_KC = quantize(m_KD, 7, self.chunk)
        return torch.cat([pack_bits(q_KD + 7, 4), float_bytes(scale_KC)], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        codes = packed_size(num_parameters, 4)
        q_KD = unpack_bits(packed_KB[:, :codes], 4, num_parameters).float().sub_(7)
        return multiply_chunks_(q_KD, bytes_to_floats(packed_KB[:, codes:]), self.chunk)
