"""SparseLoCo: FedAvg with chunk-wise top-k messages of 2-bit values and error feedback (Sarfi et al., 2025)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.codecs.chunk_topk import ChunkTopK
from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import FeedbackDecay
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class SparseLoCo(FedAvg):
    """As FedAvg, but each worker sends the largest numbers of its drift and keeps what it leaves out for the next sync.

    FedAvg(period, Average, ChunkTopK, feedback). There is no momentum at the server: the residuals take its place. The
    authors' code has a period of 30, an outer learning rate of 1 (the server `average`; `momentum` with `momentum = 0`
    has another) and a decay of 0.95. It also scales workers of large norm down to the median, which is left out here.
    """

    codec: ChunkTopK = ChunkTopK()
    feedback: FeedbackDecay = 0.95
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="SparseLoCo",
        formula="FedAvg of top-k messages C(m), m = u + β e, with the residuals e ← m − C(m)",
        references=("sarfi2025",),
        color="#00695C",
        marker="p",
    )
