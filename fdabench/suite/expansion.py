"""Lists in a table are crossed: one table with lists becomes many without, each value remembering where it stood."""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any, NamedTuple

from fdabench.validation.toml_text import KeyPath


class Variant(NamedTuple):
    """One choice from every list. `places` maps the path of each value in the variant to its path in the file."""

    value: Any
    locations: Mapping[KeyPath, KeyPath]


def count_variants(value: Any) -> int:
    """How many variants there are, without making them."""
    if isinstance(value, list):
        return sum(count_variants(entry) for entry in value)
    if isinstance(value, dict):
        return prod(count_variants(entry) for entry in value.values())
    return 1


def expand_lists(value: Any, place: KeyPath) -> Iterator[Variant]:
    """Every choice, the last list varying fastest.

    Args:
        value: the table, or a value of it.
        place: the path of `value` in the file.
    """
    if isinstance(value, list):
        for i, entry in enumerate(value):
            yield from expand_lists(entry, (*place, i))
    elif isinstance(value, dict):
        yield from _expand_table(value, place)
    else:
        yield Variant(value, {(): place})


def _expand_table(table: Mapping[str, Any], place: KeyPath) -> Iterator[Variant]:
    choices = [list(expand_lists(entry, (*place, key))) for key, entry in table.items()]
    for chosen in product(*choices):
        named = list(zip(table, chosen, strict=True))
        places = {(key, *path): where for key, variant in named for path, where in variant.locations.items()}
        yield Variant({key: variant.value for key, variant in named}, {(): place, **places})
