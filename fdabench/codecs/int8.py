"""8-bit integer messages: symmetric linear quantization, with a scale for each chunk."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.codecs.chunks import bytes_to_floats, float_bytes, join_chunks, num_chunks, split_chunks
from fdabench.codecs.quantize import quantize
from fdabench.component_info import ComponentInfo
from fdabench.core.codec import Reply
from fdabench.hyperparameters import Count


@dataclass(frozen=True)
class Int8:
    """Round each number to one of 255 evenly spaced values: D + 4 ceil(D / chunk) bytes.

    q = round(m / s), s = max |m| / 127 over a chunk of 4,096 numbers; C(m) = s q. One scale for a whole row would lose
    the small layers, and one for each tensor costs more than it saves where tensors have a few numbers.
    """

    reply: Reply = "recode"
    chunk: Count = 4096
    needs_feedback: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="int8", formula="C(m) = s round(m/s), s = max|m|/127 of a chunk", references=("wu2020", "dettmers2022")
    )

    def message_size(self, num_parameters: int) -> int:
        return num_parameters + 4 * num_chunks(num_parameters, self.chunk)

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        q_KCT, scale_KC = quantize(split_chunks(m_KD, self.chunk), 127)
        code_KD = join_chunks(q_KCT.to(torch.int8), m_KD.shape[1]).view(torch.uint8)
        return torch.cat([code_KD, float_bytes(scale_KC)], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        q_KCT = split_chunks(packed_KB[:, :num_parameters].view(torch.int8), self.chunk)
        scale_KC = bytes_to_floats(packed_KB[:, num_parameters:])
        return join_chunks(q_KCT * scale_KC[..., None], num_parameters)
