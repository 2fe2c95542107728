"""Rand-k: numbers at random indices cross (Stich et al., 2018)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.codecs.largest import count_of_share
from fdabench.codecs.message_bytes import bytes_to_floats, float_bytes
from fdabench.component_info import ComponentInfo
from fdabench.core.codec import Reply
from fdabench.core.counter_rng import derive_key
from fdabench.hyperparameters import Share


@dataclass(frozen=True)
class RandK:
    """Send k numbers at indices that all workers draw alike at each sync: 4 k bytes, as no index crosses.

    k = max(1, floor(share D)). The numbers are sent as they are, as Stich et al. do with error feedback; without it the
    mean drift shrinks to share times itself on average. As all workers have the same indices, so has the mean, and the
    reply `recode` loses nothing.
    """

    share: Share = 0.01
    reply: Reply = "recode"
    needs_feedback: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="rand-k",
        formula="C(m) = m at k = ⌊share D⌋ indices, the same for all workers and drawn anew at each sync; others 0",
        references=("stich2018",),
    )

    def message_size(self, num_parameters: int) -> int:
        return 4 * count_of_share(self.share, num_parameters)

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        return float_bytes(m_KD[:, self._indices(m_KD.shape[1], draw_key)])

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        sent_KD = torch.zeros(len(packed_KB), num_parameters, device=packed_KB.device)
        sent_KD[:, self._indices(num_parameters, draw_key)] = bytes_to_floats(packed_KB)
        return sent_KD

    def _indices(self, num_parameters: int, draw_key: Tensor) -> Tensor:
        # a key is a bijection of the index below 2^32, so there are no ties, whose order would depend on the device
        rank_D = derive_key(draw_key, torch.arange(num_parameters, device=draw_key.device))
        return torch.topk(rank_D, count_of_share(self.share, num_parameters), sorted=False).indices.sort().values
