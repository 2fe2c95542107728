"""One colour and one marker for each family of strategies, one shade and dash for each variant, everywhere.

A family is what the field names a method: LinearFDA, FedAdam, Synchronous. Its variants differ in theta or period.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from fdabench.report.contrast import mixed
from fdabench.results.names import strategy_family

Dashes = Literal["-", "--", "-.", ":"] | tuple[float, tuple[float, ...]]

# After Okabe and Ito, whom the colour-blind can follow, as dark as 3:1 on white asks; the paper's four keep its hue and
# marker.
_KNOWN = {
    "Synchronous": ("#000000", "s"),
    "LinearFDA": ("#009E73", "^"),
    "SketchFDA": ("#D1260B", "*"),
    "FedAdam": ("#0060A8", "o"),
    "NaiveFDA": ("#C98200", "v"),
    "ExactFDA": ("#B0529A", "D"),
    "FedAvg": ("#3399DD", "P"),
    "FedAvgM": ("#7A4A1E", "X"),
    "DDP": ("#5B6770", "p"),
}
_SPARE = (("#8A8A00", "h"), ("#6E6E6E", "H"), ("#5D3FD3", "<"), ("#00838F", ">"), ("#AD1457", "d"), ("#827717", "8"))
_DASHES: tuple[Dashes, ...] = ("-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (9, 3)))
_FILLS = ("full", "none", "left", "bottom", "right", "top")


@dataclass(frozen=True)
class Look:
    """How one strategy is drawn; colour is never the only difference."""

    family: str
    color: str
    marker: str
    dashes: Dashes
    fill: str

    @property
    def size(self) -> float:
        """A star looks smaller than a square of the same size."""
        return {"*": 1.5, "P": 1.15, "X": 1.15}.get(self.marker, 1.0)


def family_of(label: str, strategy: str, monitor: str) -> str:
    """The name by what the strategy is, whatever a suite calls it: a user's own is known by its kind."""
    return strategy_family(strategy, monitor)


def looks_of(families: Mapping[str, str]) -> dict[str, Look]:
    """A look for each label, from label -> family in suite order."""
    paints = {**_KNOWN, **_paints({name for name in families.values() if name not in _KNOWN})}
    looks: dict[str, Look] = {}
    for family in dict.fromkeys(families.values()):
        variants = [label for label, name in families.items() if name == family]
        looks |= _variant_looks(family, variants, *paints[family])
    return {label: looks[label] for label in families}


def _paints(strangers: Set[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each user's own: by its name, so the same in every report where no other has it."""
    colors, markers = zip(*_SPARE, strict=True)
    every = [
        (color, markers[(i + turn) % len(markers)]) for turn in range(len(markers)) for i, color in enumerate(colors)
    ]
    paints: dict[str, tuple[str, str]] = {}
    for name in sorted(strangers):
        first = crc32(name.encode()) % len(_SPARE)
        order = every[first : len(_SPARE)] + every[:first] + every[len(_SPARE) :]
        paints[name] = next((paint for paint in order if paint not in paints.values()), order[0])
    return paints


def _variant_looks(family: str, variants: Sequence[str], color: str, marker: str) -> dict[str, Look]:
    shades = _shades(color, len(variants))
    return {
        label: Look(family, shades[i], marker, _DASHES[i % len(_DASHES)], _FILLS[i % len(_FILLS)])
        for i, label in enumerate(variants)
    }


def _shades(color: str, number: int) -> list[str]:
    """From the family's own colour towards black, as paler ones fade on paper, but not so far that its hue is lost."""
    end, most = ("white", 0.5) if color == "#000000" else ("black", 0.4)
    return [mixed(color, end, most * i / max(number - 1, 1)) for i in range(number)]
