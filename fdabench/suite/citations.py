"""Which publications components rest on: by the keys of `references.bib`, or as BibTeX entries of plug-ins."""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from fdabench.component_info import ComponentInfo
from fdabench.errors import did_you_mean
from fdabench.results.suite_lock import SuiteLock


def citations(infos: Iterable[ComponentInfo]) -> list[str]:
    """BibTeX entries of what these components cite and of fdabench, sorted by key.

    A key that is in no bibliography here is left out: results may have been made by a later version.
    """
    library = bibliography()
    cited = {"fdabench": library["fdabench"]}
    for text in {text for info in infos for text in info.references}:
        if text.startswith("@"):
            cited.setdefault(_key(text), text.strip())
        elif text in library:
            cited[text] = library[text]
    return [cited[key] for key in sorted(cited)]


def locked_citations(locks: Iterable[SuiteLock]) -> list[str]:
    """The same of the components that frozen suites describe, so that no component is loaded, and no torch."""
    return citations(info for lock in locks for kinds in lock.components.values() for info in kinds.values())


def unknown_references(info: ComponentInfo) -> list[str]:
    """What is wrong with the references of a component: neither a key of the bibliography nor an entry of its own."""
    library, faults = bibliography(), []
    for text in info.references:
        if not text.startswith("@"):
            if text not in library:
                expected = "a key of fdabench's bibliography or a BibTeX entry that begins with @"
                faults.append(f"info.references: {text!r:.80} is not {expected}{did_you_mean(text, library)}")
        elif _key(text) in library:
            faults.append(f"info.references: fdabench has an entry {_key(text)!r}: cite it by this key alone")
    return faults


@cache
def bibliography() -> dict[str, str]:
    """All entries of `references.bib` by key."""
    text = files("fdabench.suite").joinpath("references.bib").read_text(encoding="utf-8")
    return {_key(entry): entry.strip() for entry in re.split(r"\n(?=@)", text) if entry.startswith("@")}


def reference_keys(info: ComponentInfo) -> list[str]:
    """`["alon1996", "cormode2005"]`: what a component cites, by key."""
    return [_key(text) if text.startswith("@") else text for text in info.references]


def _key(entry: str) -> str:
    return entry.split("{", 1)[1].split(",", 1)[0].strip()
