"""The plain mean: the global model becomes the average of the workers' models (McMahan et al., 2017)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.strategy import RoundInfo


@dataclass(frozen=True)
class Average:
    """The global model becomes the mean of the workers' models.

    w <- w + mean_k u_k.
    """

    is_plain_average: ClassVar[bool] = True
    info: ClassVar[ComponentInfo] = ComponentInfo(name="Average", formula="w ← w + ū", references=("mcmahan2017",))

    def init(self, w_D: Tensor) -> tuple[()]:
        return ()

    def update(self, w_D: Tensor, u_D: Tensor, state: tuple[()], info: RoundInfo) -> tuple[Tensor, tuple[()]]:
        return w_D + u_D, state
