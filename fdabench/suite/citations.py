"""Which publications a suite's cells rest on."""

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from fdabench.catalogue.kinds import Catalogue
from fdabench.suite.cell import Cell
from fdabench.suite.components import components


def citations(cells: Sequence[Cell], catalogue: Catalogue) -> list[str]:
    """BibTeX entries of the suite's methods, models and data, and of fdabench, sorted by key."""
    keys = {"fdabench"} | {key for cell in cells for text in _references(cell, catalogue) for key in text.split()}
    library = bibliography()
    return [library[key] for key in sorted(keys)]


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
