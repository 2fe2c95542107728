"""Which publications cells rest on, by their configurations alone: who reads results loads no method, and no torch."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

_ROLES = {
    "datasets": "dataset",
    "models": "model",
    "strategies": "strategy",
    "optimizers": "optimizer",
    "partitions": "partition",
}
_INNER_ROLES = ("monitors", "servers")
References = Mapping[str, Mapping[str, str]]
"""Role -> name -> keys of the bibliography, separated by spaces."""


def citations(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """BibTeX entries of what is built in and of fdabench, sorted by key.

    Plug-ins have none: they may not be here, and their `reference` may be in the author's own words.
    """
    references, library = built_in_references(), bibliography()
    texts = {text for config in configs for text in _cited(config, references)}
    return [library[key] for key in sorted({"fdabench"} | {key for text in texts for key in text.split()})]


def built_in_references() -> References:
    """What `references.toml` says: the `reference` of each component that is built in."""
    return tomllib.loads(_data("references.toml"))


def bibliography() -> dict[str, str]:
    """All entries of `references.bib` by key."""
    entries = [entry.strip() for entry in re.split(r"\n(?=@)", _data("references.bib")) if entry.startswith("@")]
    return {entry.split("{", 1)[1].split(",", 1)[0]: entry for entry in entries}


def _cited(config: Mapping[str, Any], references: References) -> Iterable[str]:
    """No plug-in takes a name that is built in, so a name tells what it is."""
    for role, key in _ROLES.items():
        part = config[key]
        if isinstance(part, Mapping):
            yield from _of_table((role,), part, references)
        else:
            yield references[role].get(part, "")


def _of_table(roles: Iterable[str], table: Mapping[str, Any], references: References) -> Iterable[str]:
    yield from (references[role].get(table["kind"], "") for role in roles)
    for inner in table.values():
        if isinstance(inner, Mapping) and "kind" in inner:
            yield from _of_table(_INNER_ROLES, inner, references)


def _data(name: str) -> str:
    return files("fdabench.suite").joinpath(name).read_text(encoding="utf-8")
