"""Lists in a table are crossed: one table with lists becomes many without, each value remembering where it stood."""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any, NamedTuple

Loc = tuple[str, ...]


class Variant(NamedTuple):
    """One choice from every list. `places` says where in the file the value at each location stood."""

    value: Any
    places: Mapping[Loc, str]


def count(value: Any) -> int:
    """How many variants there are, without making them."""
    if isinstance(value, list):
        return sum(count(entry) for entry in value)
    if isinstance(value, dict):
        return prod(count(entry) for entry in value.values())
    return 1


def spread(value: Any, place: str) -> Iterator[Variant]:
    """Every choice, the last list varying fastest."""
    if isinstance(value, list):
        for i, entry in enumerate(value):
            yield from spread(entry, f"{place}[{i}]")
    elif isinstance(value, dict):
        yield from _spread_table(value, place)
    else:
        yield Variant(value, {(): place})


def _spread_table(table: Mapping[str, Any], place: str) -> Iterator[Variant]:
    choices = [list(spread(entry, f"{place}.{key}")) for key, entry in table.items()]
    for chosen in product(*choices):
        named = list(zip(table, chosen, strict=True))
        places = {(key, *loc): where for key, variant in named for loc, where in variant.places.items()}
        yield Variant({key: variant.value for key, variant in named}, {(): place, **places})
