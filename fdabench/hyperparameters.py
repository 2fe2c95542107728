"""Types for the fields of components. They declare the unit or the bounds of a number.

A suite may give `Steps` in local steps or in epochs, and a `Threshold` as an absolute value or per parameter. A `Seed`
has no key in a suite: it is derived from the settings of the cell. The other types have bounds only.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True)
class UnitTag:
    """The unit of a number, as the metadata of an `Annotated` type."""

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
FeedbackDecay = Annotated[float, Gt(0), Le(1)]
"""How much of what a message left out the next one makes up for; 1 is all of it."""
Share = Annotated[float, Gt(0), Le(1)]
"""A part of all numbers; 1 is all of them."""
Count = Annotated[int, Ge(1), Le(10**9)]
"""The upper bound refuses values that no memory could hold."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a suite, or what a plug-in adds, may be called: it becomes a folder, a file, a word on a command line."""
