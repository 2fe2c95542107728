"""Types of a strategy's fields that say what a number means, and so how a suite may give it.

`Steps` may be given in local steps or in epochs, `Threshold` absolutely or per parameter, and a `Seed` is never
given: it is derived from the axes of the cell. The others are bounds.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True)
class UnitTag:
    """What a number stands for, where its type alone does not say."""

    text: str


STEPS_TAG = UnitTag("local steps")
THRESHOLD_TAG = UnitTag("squared L2 norm")
SEED_TAG = UnitTag("seed")

Steps = Annotated[Fraction, STEPS_TAG]
Threshold = Annotated[float, THRESHOLD_TAG]
Seed = Annotated[int, SEED_TAG]

PositiveFloat = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Decay = Annotated[float, Ge(0), Lt(1)]
Count = Annotated[int, Ge(1), Le(10**9)]
"""No more of anything could be held."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a suite, or what a plug-in adds, may be called: it becomes a folder, a file, a word on a command line."""
