"""AdaComm: the period follows the training loss (Wang and Joshi, 2019)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.strategies.rounds import Rounds
from fdabench.triggers.adacomm import AdaComm


@dataclass(frozen=True)
class AdaCommStrategy(Rounds):
    """Average the models after rounds that get shorter as the training loss falls.

    Rounds(AdaComm), in Paddle's form. Each worker sends its loss, 4 bytes, at each sync.
    """

    when: AdaComm
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="AdaComm",
        formula="after ⌈√(τ₁ lr₀ f / (lr f₀))⌉ local steps w ← w + ū; f: mean loss",
        references=("wang2019",),
        color="#B45F06",
        marker="o",
        variant="Paddle's AdaptiveLocalSGD",
    )
