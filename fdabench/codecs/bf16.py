"""bfloat16 messages: half of the bytes, with the range of float32."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.codec import Reply


@dataclass(frozen=True)
class BF16:
    """Round each number to bfloat16, to the nearest, ties to even: 2 D bytes.

    The mean is computed in float32 after unpacking; an all-reduce of bfloat16 numbers would round at each addition.
    """

    reply: Reply = "recode"
    needs_feedback: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="bf16", formula="C(m) = m rounded to 8 bits of significand", references=("kalamkar2019",)
    )

    def message_size(self, num_parameters: int) -> int:
        return 2 * num_parameters

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        return m_KD.to(torch.bfloat16).view(torch.uint8)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        return packed_KB.view(torch.bfloat16).float()
