"""float16 messages: half of the bytes, 11 bits of significand, and infinity above 65,504."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fdabench import api


@dataclass(frozen=True)
class FP16:
    """Round each number to float16: 2 D bytes."""

    reply: api.Reply = "recode"
    needs_feedback = False
    info = api.ComponentInfo(formula="C(m) = m rounded to float16, to the nearest, ties to even")

    def message_size(self, num_parameters: int) -> int:
        return 2 * num_parameters

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        return m_KD.to(torch.float16).view(torch.uint8)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        return packed_KB.view(torch.float16).float()


CODECS = {"fp16": FP16}
