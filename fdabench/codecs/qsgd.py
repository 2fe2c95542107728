"""QSGD: stochastic rounding to a few levels, without bias (Alistarh et al., 2017)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from fdabench.codecs.chunks import divide_chunks, multiply_chunks_, num_chunks, reduce_chunks
from fdabench.codecs.message_bytes import bytes_to_floats, float_bytes, pack_bits, packed_size, unpack_bits
from fdabench.codecs.quantize import divisor, max_magnitude
from fdabench.component_info import ComponentInfo
from fdabench.core.codec import Reply
from fdabench.core.counter_rng import derive_key
from fdabench.hyperparameters import Count

Levels = Annotated[int, Ge(1), Le(1 << 20)]
"""Above this bound, float32 numbers could not tell neighboring levels apart."""


@dataclass(frozen=True)
class QSGD:
    """Round each number up or down to one of 2s + 1 levels, at random and right on average.

    C(m) = sign(m) (|m|_max / s) floor(s |m| / |m|_max + U), U uniform in [0, 1); |m|_max is that of a bucket, as in the
    paper's experiments (its theory has the bucket's L2 norm). s = 7 and buckets of 512 are its 4-bit form.
    ceil(D b / 8) + 4 ceil(D / bucket) bytes, b = ceil(log2(2s + 1)): a fixed rate; Elias codes depend on the numbers.
    """

    reply: Reply = "recode"
    levels: Levels = 7
    bucket: Count = 512
    needs_feedback: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="QSGD",
        formula="C(m) = sign(m) M/s ⌊s|m|/M + U⌋, M = max|m| of a bucket, U uniform in [0, 1)",
        references=("alistarh2017",),
    )

    @property
    def _width(self) -> int:
        return (2 * self.levels).bit_length()

    def message_size(self, num_parameters: int) -> int:
        return packed_size(num_parameters, self._width) + 4 * num_chunks(num_parameters, self.bucket)

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        levels, norm_KC = self.levels, reduce_chunks(max_magnitude, m_KD, self.bucket)
        position_KD = levels * divide_chunks(m_KD.abs(), divisor(norm_KC), self.bucket).nan_to_num_(0)
        bits_KD = derive_key(key_K[:, None], torch.arange(m_KD.shape[1], device=m_KD.device))
        # the sum may be rounded up to levels + 1
        level_KD = (position_KD + (bits_KD >> 8) * 2.0**-24).floor_().clamp_(max=levels)
        code_KD = torch.where(m_KD < 0, levels - level_KD, levels + level_KD).long()
        return torch.cat([pack_bits(code_KD, self._width), float_bytes(norm_KC)], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        codes = packed_size(num_parameters, self._width)
        code_KD = unpack_bits(packed_KB[:, :codes], self._width, num_parameters)
        norm_KC = bytes_to_floats(packed_KB[:, codes:])
        return multiply_chunks_((code_KD.float() - self.levels) / self.levels, norm_KC, self.bucket)
