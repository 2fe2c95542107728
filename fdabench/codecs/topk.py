"""Top-k: the numbers with the largest magnitudes cross (Aji and Heafield, 2017; Stich et al., 2018)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fdabench.codecs.largest import count_of_share, index_bits, largest
from fdabench.codecs.message_bytes import bytes_to_floats, float_bytes, pack_bits, packed_size, unpack_bits
from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import Share


@dataclass(frozen=True)
class TopK:
    """Send the k numbers with the largest magnitudes of the whole row: 4 k + ceil(k ceil(log2 D) / 8) bytes.

    k = max(1, floor(share D)); of equal magnitudes the smallest index first. The default of 1 % is that of Aji and
    Heafield. The mean is over all workers, zeros of those that did not send an index included. Use it with `feedback`:
    alone, small numbers never cross. With the reply `all` the bytes that come back grow with the number of workers;
    with `dense` they are those of a model.
    """

    share: Share = 0.01
    reply: Literal["dense", "all"] = "all"
    needs_feedback: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="top-k",
        formula="C(m) = the k = ⌊share D⌋ largest |m|, others 0",
        references=("aji2017", "stich2018"),
    )

    def message_size(self, num_parameters: int) -> int:
        k = count_of_share(self.share, num_parameters)
        return 4 * k + packed_size(k, index_bits(num_parameters))

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        size = m_KD.shape[1]
        at_Kk = largest(m_KD, count_of_share(self.share, size))
        return torch.cat([float_bytes(m_KD.gather(1, at_Kk)), pack_bits(at_Kk, index_bits(size))], 1)

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        k = count_of_share(self.share, num_parameters)
        at_Kk = unpack_bits(packed_KB[:, 4 * k :], index_bits(num_parameters), k).long()
        zeros_KD = torch.zeros(len(packed_KB), num_parameters, device=packed_KB.device)
        return zeros_KD.scatter_(1, at_Kk, bytes_to_floats(packed_KB[:, : 4 * k]))
