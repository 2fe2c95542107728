"""One color and one marker for each family of strategies, one shade and dash for each variant, everywhere.

A family is what the field names a method: LinearFDA, FedAdam, Synchronous. Its variants differ in theta or period.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal
from zlib import crc32

from fdabench.results.names import FindInfo, inner_info
from fdabench.style.contrast import blend

Paint = tuple[str, str]
"""A color, `#rrggbb`, and a marker."""
Dashes = Literal["-", "--", "-.", ":"] | tuple[float, tuple[float, ...]]

# Colors of strategies that declare none. They and the declared ones of built-in strategies (`ComponentInfo.color`) are
# after Okabe and Ito, which color-blind readers can tell apart, made as dark as a contrast of 3:1 on white needs. The
# paper's four strategies keep its hues and markers.
_SPARE = (("#8A8A00", "h"), ("#6E6E6E", "H"), ("#5D3FD3", "<"), ("#00838F", ">"), ("#AD1457", "d"), ("#827717", "8"))
_DASHES: tuple[Dashes, ...] = ("-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (9, 3)))
_FILLS = ("full", "none", "left", "bottom", "right", "top")


@dataclass(frozen=True)
class PlotStyle:
    """How one strategy is drawn; color is never the only difference."""

    family: str
    color: str
    marker: str
    dashes: Dashes
    fill: str

    @property
    def size(self) -> float:
        """A star looks smaller than a square of the same size."""
        return {"*": 1.5, "P": 1.15, "X": 1.15}.get(self.marker, 1.0)


def paint_of(table: Mapping[str, Any], info: FindInfo) -> Paint | None:
    """The color and marker that a strategy declares, or else its monitor or server; None where none does.

    Args:
        table: the strategy of a cell's configuration.
        info: the description of a component, given its role and kind.
    """
    inner = [inner_info(str(part["kind"]), info) for part in table.values() if isinstance(part, Mapping)]
    found = (each for each in (info("strategies", str(table["kind"])), *inner) if each.color)
    return next(((each.color, each.marker or "o") for each in found), None)


def assign_styles(families: Mapping[str, str], declared: Mapping[str, Paint]) -> dict[str, PlotStyle]:
    """A look for each label.

    Args:
        families: label -> family, in suite order.
        declared: family -> color and marker, of families that declare them.
    """
    paints = {**declared, **_paints({name for name in families.values() if name not in declared})}
    looks: dict[str, PlotStyle] = {}
    for family in dict.fromkeys(families.values()):
        variants = [label for label, name in families.items() if name == family]
        looks |= _variant_looks(family, variants, *paints[family])
    return {label: looks[label] for label in families}


def _paints(undeclared: Set[str]) -> dict[str, Paint]:
    """A color and a marker by the family's name: the same in every report where no other family has it."""
    colors, markers = zip(*_SPARE, strict=True)
    every = [
        (color, markers[(i + turn) % len(markers)]) for turn in range(len(markers)) for i, color in enumerate(colors)
    ]
    paints: dict[str, Paint] = {}
    for name in sorted(undeclared):
        first = crc32(name.encode()) % len(_SPARE)
        order = every[first : len(_SPARE)] + every[:first] + every[len(_SPARE) :]
        paints[name] = next((paint for paint in order if paint not in paints.values()), order[0])
    return paints


def _variant_looks(family: str, variants: Sequence[str], color: str, marker: str) -> dict[str, PlotStyle]:
    shades = _shades(color, len(variants))
    return {
        label: PlotStyle(family, shades[i], marker, _DASHES[i % len(_DASHES)], _FILLS[i % len(_FILLS)])
        for i, label in enumerate(variants)
    }


def _shades(color: str, number: int) -> list[str]:
    """From the family's own color towards black, as paler ones fade on paper, but not so far that its hue is lost."""
    end, most = ("white", 0.5) if color == "#000000" else ("black", 0.4)
    return [blend(color, end, most * i / max(number - 1, 1)) for i in range(number)]
