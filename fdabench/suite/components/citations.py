"""The publications that components cite: keys of `references.bib`, or BibTeX entries that a plug-in contains.

`fdabench cite` and reports print them. The check of a plug-in rejects references that neither form matches.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from fdabench.component_info import ComponentInfo
from fdabench.errors import did_you_mean
from fdabench.results.suite_lock import SuiteLock


def citations(infos: Iterable[ComponentInfo]) -> list[str]:
    """The BibTeX entries of fdabench itself and of everything that the components cite, sorted by key.

    Keys that `references.bib` does not contain are skipped, because a later version of fdabench may have written
    the results.
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
    """The BibTeX entries for the components that lock files describe, as `citations`.

    It reads the descriptions in the lock files, so neither the components nor torch are imported.
    """
    return citations(info for lock in locks for kinds in lock.components.values() for info in kinds.values())


def unknown_references(info: ComponentInfo) -> list[str]:
    """The errors in the references of a component; empty if there are none.

    A reference must be a key of `references.bib` or a complete BibTeX entry. An entry whose key `references.bib`
    already has is an error too: the component must cite it by its key.
    """
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
    """All BibTeX entries of `references.bib`, by key."""
    text = files("fdabench.suite").joinpath("references.bib").read_text(encoding="utf-8")
    return {_key(entry): entry.strip() for entry in re.split(r"\n(?=@)", text) if entry.startswith("@")}


def reference_keys(info: ComponentInfo) -> list[str]:
    """The keys of everything that a component cites, such as `["alon1996", "cormode2005"]`."""
    return [_key(text) if text.startswith("@") else text for text in info.references]


def _key(entry: str) -> str:
    return entry.split("{", 1)[1].split(",", 1)[0].strip()
