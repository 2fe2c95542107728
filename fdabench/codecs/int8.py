"""8-bit integer messages: symmetric linear quantization, with a scale for each chunk."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.codecs.chunks import multiply_chunks_, num_chunks
from fdabench.codecs.message_bytes import bytes_to_floats, float_bytes
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
        q_KD, scale_KC = quantize(m_KD, 127, self.chunk)
        packed_KB = m_KD.new_empty(len(m_KD), self.message_size(m_KD.shape[1]), dtype=torch.uint8)
        q_KB, scale_KB = packed_KB.tensor_split([m_KD.shape[1]], 1)
        q_KB.view(torch.int8).copy_(q_KD)
        scale_KB.copy_(float_bytes(scale_KC))
        return packed_KB

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        scale_KC = bytes_to_floats(packed_KB[:, num_parameters:])
        return multiply_chunks_(packed_KB[:, :num_parameters].view(torch.int8).float(), scale_KC, self.chunk)
