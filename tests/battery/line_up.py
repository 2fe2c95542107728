"""Every strategy with every monitor and every server that it takes, made from the registries and from `examples/`.

A strategy joins by its line in STRATEGIES, and an example as what it is, a plug-in. One with a field of a new kind also
needs a value here.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

from fdabench.catalogue.load import load, read_file
from fdabench.core.strategy import Strategy
from fdabench.fields import SEED, STEPS, THRESHOLD
from fdabench.suite.components import check_usable
from fdabench.suite.members import Member, members

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
CATALOGUE = load([read_file("examples", path) for path in EXAMPLES], check_usable)

VALUES = {STEPS.text: Fraction(5, 2), THRESHOLD.text: 0.06, SEED.text: 0}
"""For what a field means: a period of two and a half steps; a threshold that the toy crosses now and then."""


def _choices(member: Member) -> Iterator[tuple[str, Any]]:
    if member.kinds:
        yield from ((kind, cls()) for kind, cls in member.kinds.items())
        return
    meant = [value for text, value in VALUES.items() if any(text == m.text for m in _meanings(member))]
    if not meant and member.required:
        raise LookupError(f"say in VALUES what {member.name} is to be")
    yield "", meant[0] if meant else member.default


def _meanings(member: Member) -> list[Any]:
    return [mark for mark in getattr(member.hint, "__metadata__", ()) if hasattr(mark, "text")]


def _line_up() -> Iterator[tuple[str, Strategy]]:
    for kind, cls in CATALOGUE.strategies.items():
        fields = members(cls, CATALOGUE)
        for chosen in product(*(list(_choices(field)) for field in fields)):
            name = "-".join([kind, *(word for word, _ in chosen if word)])
            yield name, cls(**{field.name: value for field, (_, value) in zip(fields, chosen, strict=True)})


LINE_UP: Mapping[str, Strategy] = dict(_line_up())
