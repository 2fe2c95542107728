"""Top-k of each chunk with 2-bit values: the messages of SparseLoCo (Sarfi et al., 2025).

Shape suffixes: C = chunks of a row, T = numbers of a chunk, k = those that cross.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from fdabench.codecs.chunks import num_chunks, pairwise_sum
from fdabench.codecs.largest import index_bits, largest
from fdabench.codecs.message_bytes import bytes_to_floats, pack_bits, packed_size, unpack_bits
from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import Count


@dataclass(frozen=True)
class ChunkTopK:
    """Send the 64 largest of each 4,096 numbers, each as an index of 12 bits and a value of 2 bits.

    A value is a sign and one of two magnitudes: the mean of the chunk's magnitudes that cross and are above their mean,
    or of those that are not. Both means cross as bfloat16. In the authors' code the four values are means of bins, too,
    but the same for all chunks. ceil(D / 4096) (64 * 12 / 8 + 64 * 2 / 8 + 4) bytes.
    """

    top: Count = 64
    chunk: Count = 4096
    reply: Literal["dense", "all"] = "all"
    needs_feedback: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="chunk top-k",
        formula="C(m) = the 64 largest |m| of each 4096 numbers, as ± one of two means; others 0",
        references=("sarfi2025",),
    )

    def __post_init__(self) -> None:
        if self.top > self.chunk:
            raise ValueError(f"top: {self.top} numbers of a chunk of {self.chunk}; it is at most chunk")

    def _sizes(self, num_parameters: int) -> tuple[int, int, int, int]:
        """C, T, k of each chunk, and the bytes of the indices of all chunks."""
        size = min(self.chunk, num_parameters)
        chunks, top = num_chunks(num_parameters, self.chunk), min(self.top, size)
        return chunks, size, top, packed_size(chunks * top, index_bits(size))

    def message_size(self, num_parameters: int) -> int:
        chunks, _, top, index_bytes = self._sizes(num_parameters)
        return index_bytes + packed_size(2 * chunks * top, 1) + 4 * chunks

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        chunks, size, top, _ = self._sizes(m_KD.shape[1])
        m_KCT = pad(m_KD, (0, chunks * size - m_KD.shape[1])).unflatten(1, (chunks, size))
        at_KCk = largest(m_KCT, top)
        value_KCk = m_KCT.gather(2, at_KCk)
        # zeros that fill up the last chunk are in no mean
        start_C = torch.arange(chunks, device=m_KD.device) * size
        is_real_KCk = at_KCk + start_C[:, None] < m_KD.shape[1]
        magnitude_KCk = value_KCk.abs()
        is_high_KCk = magnitude_KCk > _mean(magnitude_KCk, is_real_KCk)[..., None]
        means_KC2 = torch.stack([_mean(magnitude_KCk, is_real_KCk & part) for part in (~is_high_KCk, is_high_KCk)], -1)
        code_KCk = is_high_KCk.to(torch.uint8) | (value_KCk < 0).to(torch.uint8) << 1
        index_KB, code_KB = pack_bits(at_KCk.flatten(1), index_bits(size)), pack_bits(code_KCk.flatten(1), 2)
        return torch.cat([index_KB, code_KB, means_KC2.flatten(1).to(torch.bfloat16).view(torch.uint8)], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        chunks, size, top, index_bytes = self._sizes(num_parameters)
        index_KB, code_KB, table_KB = packed_KB.tensor_split([index_bytes, packed_KB.shape[1] - 4 * chunks], 1)
        at_KCk = unpack_bits(index_KB, index_bits(size), chunks * top).long().unflatten(1, (chunks, top))
        code_KCk = unpack_bits(code_KB, 2, chunks * top).long().unflatten(1, (chunks, top))
        means_KC2 = bytes_to_floats(table_KB, torch.bfloat16).unflatten(1, (chunks, 2))
        value_KCk = means_KC2.gather(2, code_KCk & 1) * (1 - (code_KCk & 2))
        zeros_KCT = torch.zeros(len(packed_KB), chunks, size, device=packed_KB.device)
        return zeros_KCT.scatter_(2, at_KCk, value_KCk).flatten(1)[:, :num_parameters]


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean of what is counted over the last dimension; 0 if nothing is."""
    return pairwise_sum(torch.where(mask, x, 0)) / mask.sum(-1).clamp(min=1)
