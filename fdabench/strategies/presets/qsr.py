"""QSR, the quadratic synchronization rule: the period grows as the learning rate falls (Gu et al., 2024)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.strategies.rounds import Rounds
from fdabench.triggers.qsr import QSR


@dataclass(frozen=True)
class QSRStrategy(Rounds):
    """Average the models after rounds that get longer as the learning rate falls.

    Rounds(QSR). The local optimizer needs a `schedule`; at a constant learning rate this is FedAvg. The paper keeps
    each worker's optimizer state at a sync.
    """

    when: QSR
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="QSR",
        formula="after max(least, ⌊(rate/lr)²⌋) local steps w ← w + ū",
        references=("gu2024",),
        color="#4B7F0E",
        marker="h",
    )
