"""Which publications a suite's cells rest on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.suite.cell import Cell
from fdabench.suite.components import components


def citations(cells: Sequence[Cell], catalogue: Catalogue) -> list[str]:
    """BibTeX entries of the suite's methods, models and data, and of fdabench, sorted by key."""
    keys = {"fdabench"} | {key for cell in cells for text in _references(cell, catalogue) for key in text.split()}
    library = bibliography()
    return [library[key] for key in sorted(keys)]


def known_citations(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """BibTeX entries of what is built in, of configurations that may name plug-ins that are not here, sorted by key."""
    used = {pair for config in configs for pair in _built_in(config)}
    texts = [getattr(getattr(BUILT_IN, role)[name], "reference", "") for role, name in used]
    library = bibliography()
    return [library[key] for key in sorted({"fdabench"} | {key for text in texts for key in text.split()})]


def _built_in(config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """(role, name): no plug-in takes a name that is built in, so a name tells what it is."""
    for role, key in (("datasets", "dataset"), ("models", "model")):
        if config[key] in getattr(BUILT_IN, role):
            yield role, config[key]
    for role, key in (("strategies", "strategy"), ("optimizers", "optimizer"), ("partitions", "partition")):
        yield from _of_table((role,), config[key])


def _of_table(roles: tuple[str, ...], table: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield from ((role, table["kind"]) for role in roles if table["kind"] in getattr(BUILT_IN, role))
    for inner in table.values():
        if isinstance(inner, Mapping) and "kind" in inner:
            yield from _of_table(("monitors", "servers"), inner)


def bibliography() -> dict[str, str]:
    """All entries of `references.bib` by key."""
    text = files("fdabench.suite").joinpath("references.bib").read_text(encoding="utf-8")
    entries = [entry.strip() for entry in re.split(r"\n(?=@)", text) if entry.startswith("@")]
    return {entry.split("{", 1)[1].split(",", 1)[0]: entry for entry in entries}


def _references(cell: Cell, catalogue: Catalogue) -> Iterable[str]:
    """Keys of the bibliography; a plug-in's `reference` may be in its author's own words, so it is left out."""
    for role, name in components(cell.config, catalogue):
        if catalogue.plugin_of(role, name) is None:
            yield getattr(getattr(catalogue, role)[name], "reference", "")
