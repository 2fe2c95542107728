"""4-bit integer messages: symmetric linear quantization, with a scale for each chunk."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.codecs.chunks import (
    bytes_to_floats,
    float_bytes,
    join_chunks,
    num_chunks,
    pack_bits,
    packed_size,
    split_chunks,
    unpack_bits,
)
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
        q_KCT, scale_KC = quantize(split_chunks(m_KD, self.chunk), 7)
        code_KD = join_chunks((q_KCT + 7).to(torch.uint8), m_KD.shape[1])
        return torch.cat([pack_bits(code_KD, 4), float_bytes(scale_KC)], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        codes = packed_size(num_parameters, 4)
        code_KD = unpack_bits(packed_KB[:, :codes], 4, num_parameters)
        q_KCT = split_chunks(code_KD.float() - 7, self.chunk)
        return join_chunks(q_KCT * bytes_to_floats(packed_KB[:, codes:])[..., None], num_parameters)
