"""Which publications a suite's cells rest on."""

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from fdabench.catalogue.kinds import Catalogue
from fdabench.suite.cell import Cell
from fdabench.suite.members import members


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
    config, strategy = cell.config, cell.config["strategy"]
    cls = catalogue.strategies[strategy["kind"]]
    yield _of(cls)
    for member in members(cls, catalogue):
        if member.kinds:
            yield _of(member.kinds[strategy[member.name]["kind"]])
    yield _of(catalogue.optimizers[config["optimizer"]["kind"]])
    yield _of(catalogue.partitions[config["partition"]["kind"]])
    yield catalogue.datasets[config["dataset"]].reference
    yield catalogue.models[config["model"]].reference


def _of(component: type) -> str:
    """The component's `reference`: keys of the bibliography, or nothing."""
    return getattr(component, "reference", "")
