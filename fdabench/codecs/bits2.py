"""2-bit messages: the best four values for Gaussian numbers (Max, 1960), with a scale for each chunk."""

from dataclasses import dataclass
from typing import ClassVar

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
from fdabench.core.codec import Reply
from fdabench.hyperparameters import Count

INNER, BOUNDARY, OUTER = 0.4528, 0.9816, 1.5104
"""Max (1960), table I, N = 4: the values +-INNER and +-OUTER, and what separates them, for a variance of one."""


@dataclass(frozen=True)
class Bits2:
    """Send the sign and whether a number is above or below 0.98 sigma: ceil(D / 4) + 4 ceil(D / chunk) bytes.

    C(m) = +-0.4528 sigma or +-1.5104 sigma, sigma^2 = mean m^2 over a chunk of 4,096 numbers. These values have the
    least mean squared error of any four for Gaussian numbers (12 % of sigma^2). What arrives is shorter than what was
    sent by 6 %, so a message that is packed once more shrinks once more.
    """

    reply: Reply = "recode"
    chunk: Count = 4096
    needs_feedback: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="2-bit",
        formula="C(m) = ±0.4528 σ or, where |m| > 0.9816 σ, ±1.5104 σ, σ² = mean m² of a chunk",
        references=("max1960",),
    )

    def message_size(self, num_parameters: int) -> int:
        return packed_size(num_parameters, 2) + 4 * num_chunks(num_parameters, self.chunk)

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        size, m_KCT = m_KD.shape[1], split_chunks(m_KD, self.chunk)
        sigma_KC = (pairwise_sum(m_KCT.square()) / chunk_lengths(size, self.chunk, m_KD.device)).sqrt()
        is_outer_KCT = m_KCT.abs() > BOUNDARY * sigma_KC[..., None]
        code_KD = join_chunks(is_outer_KCT.to(torch.uint8) | (m_KCT < 0).to(torch.uint8) << 1, size)
        return torch.cat([pack_bits(code_KD, 2), float_bytes(sigma_KC)], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        codes = packed_size(num_parameters, 2)
        code_KCT = split_chunks(unpack_bits(packed_KB[:, :codes], 2, num_parameters), self.chunk)
        sigma_KC1 = bytes_to_floats(packed_KB[:, codes:])[..., None]
        magnitude_KCT = torch.where((code_KCT & 1).bool(), OUTER, INNER) * sigma_KC1
        return join_chunks(torch.where(code_KCT > 1, -magnitude_KCT, magnitude_KCT), num_parameters)
