"""Expands a table that contains lists into the Cartesian product of its values.

Each variant records the path of every value in the file, so that an error in a variant is reported at its line.
`suite.grid` expands workloads, strategies and excludes.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any, NamedTuple

from fdabench.validation.toml_text import KeyPath


class Variant(NamedTuple):
    """One choice from every list. `locations` maps the path of each value in the variant to its path in the file."""

    value: Any
    locations: Mapping[KeyPath, KeyPath]


def count_variants(value: object) -> int:
    """The number of variants that `expand_lists` yields, computed without creating them.

    >>> count_variants({"workers": [5, 10], "model": "lenet5", "optimizer": {"lr": [0.1, 0.01, 0.001]}})
    6
    """
    if isinstance(value, list):
        return sum(count_variants(entry) for entry in value)
    if isinstance(value, dict):
        return prod(count_variants(entry) for entry in value.values())
    return 1


def expand_lists(value: object, place: KeyPath) -> Iterator[Variant]:
    """Yield one variant for each combination of list entries; the last list varies fastest.

    Args:
        value: a table, or a value of a table.
        place: the path of `value` in the file.

    >>> [variant.value for variant in expand_lists({"workers": [5, 10], "seed": [0, 1]}, ())]
    [{'workers': 5, 'seed': 0}, {'workers': 5, 'seed': 1}, {'workers': 10, 'seed': 0}, {'workers': 10, 'seed': 1}]
    """
    if isinstance(value, list):
        for i, entry in enumerate(value):
            yield from expand_lists(entry, (*place, i))
    elif isinstance(value, dict):
        yield from _expand_table(value, place)
    else:
        yield Variant(value, {(): place})


def _expand_table(table: Mapping[str, object], place: KeyPath) -> Iterator[Variant]:
    choices = [list(expand_lists(entry, (*place, key))) for key, entry in table.items()]
    for variants in product(*choices):
        by_key = list(zip(table, variants, strict=True))
        places = {(key, *path): location for key, variant in by_key for path, location in variant.locations.items()}
        yield Variant({key: variant.value for key, variant in by_key}, {(): place, **places})
