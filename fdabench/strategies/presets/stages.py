"""Post-local SGD: one period up to a step and another after it (Lin et al., 2020)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.strategies.rounds import Rounds
from fdabench.triggers.stages import Stages


@dataclass(frozen=True)
class StagesStrategy(Rounds):
    """Average the models after rounds of one length until a step, and of another length from then on.

    Rounds(Stages). Post-local SGD begins with rounds of one step; local warm-up ends with them.
    """

    when: Stages
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Stages",
        formula="after τ₁ local steps until the switch, then after τ₂, w ← w + ū",
        references=("lin2020",),
        color="#8C5A9E",
        marker="H",
    )
