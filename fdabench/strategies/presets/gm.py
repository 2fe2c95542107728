"""GM: synchronize as soon as one worker leaves its ball (Kamp et al., 2018)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.strategies.rounds import Rounds
from fdabench.triggers.local_condition import LocalCondition


@dataclass(frozen=True)
class GM(Rounds):
    """Average the models once the squared norm of one worker's drift exceeds theta.

    Rounds(LocalCondition): the baseline that the authors of FDA call GM, with 4 bytes of each worker a step.
    """

    when: LocalCondition
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="GM",
        formula="once ‖u_k‖² > θ at one worker w ← w + ū",
        references=("kamp2019",),
        color="#9C4F2E",
        marker="8",
    )
