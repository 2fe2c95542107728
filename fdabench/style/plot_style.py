"""Assigns a color, a marker, a line style and a fill to each strategy, the same in all figures of a report.

A family is a method, such as LinearFDA, FedAdam or Synchronous. Its variants differ in settings such as theta or
period. Each family has a color and a marker, and each variant has a shade, a line style and a fill.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from fdabench.cell_config import ComponentConfig
from fdabench.results.names import FindInfo, inner_info
from fdabench.style.contrast import blend

ColorMarker = tuple[str, str]
"""A color `#rrggbb` and a marker of matplotlib."""
Dashes = Literal["-", "--", "-.", ":"] | tuple[float, tuple[float, ...]]
"""A line style of matplotlib."""

# Colors of strategies that declare none. These colors and those of the built-in strategies (`ComponentInfo.color`) are
# based on Okabe and Ito's, which color-blind readers can distinguish, darkened to a contrast of 3:1 on white. The
# four strategies of the FDA paper have the hues and markers of its figures.
_SPARE = (("#8A8A00", "h"), ("#6E6E6E", "H"), ("#5D3FD3", "<"), ("#00838F", ">"), ("#AD1457", "d"), ("#827717", "8"))
_DASHES: tuple[Dashes, ...] = ("-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (9, 3)))
_FILLS = ("full", "none", "left", "bottom", "right", "top")


@dataclass(frozen=True)
class PlotStyle:
    """How one strategy is drawn. Two strategies never differ in color only."""

    family: str
    color: str
    marker: str
    dashes: Dashes
    fill: str

    @property
    def size(self) -> float:
        """The factor of the marker size, which makes markers of different shapes look equally large."""
        return {"*": 1.5, "P": 1.15, "X": 1.15}.get(self.marker, 1.0)


def color_marker_of(strategy: ComponentConfig, info: FindInfo) -> ColorMarker | None:
    """Return the color and marker that a strategy declares, or those of its monitor or server; None if none does.

    Args:
        strategy: the strategy of a cell.
        info: returns the description of a component, given its role and kind.
    """
    inner = [inner_info(component.kind, info) for component in strategy.components.values()]
    infos = (description for description in (info("strategies", strategy.kind), *inner) if description.color)
    return next(((description.color, description.marker or "o") for description in infos), None)


def assign_styles(families: Mapping[str, str], declared: Mapping[str, ColorMarker]) -> dict[str, PlotStyle]:
    """Assign a style to each label.

    Args:
        families: label -> family, in the order of the suite.
        declared: family -> color and marker, for families that declare them.

    Returns:
        Label -> style, in the same order.
    """
    color_markers = {
        **declared,
        **_color_markers({name for name in families.values() if name not in declared}, declared),
    }
    styles: dict[str, PlotStyle] = {}
    for family in dict.fromkeys(families.values()):
        variants = [label for label, name in families.items() if name == family]
        styles |= _variant_styles(family, variants, *color_markers[family])
    return {label: styles[label] for label in families}


def _color_markers(undeclared: Set[str], declared: Mapping[str, ColorMarker]) -> dict[str, ColorMarker]:
    """Return a color and a marker for each family, chosen by a hash of its name.

    So a family is drawn the same way in every report, unless another family of the report has the same hash.
    """
    colors, markers = zip(*_SPARE, strict=True)
    every = [
        (color, markers[(i + turn) % len(markers)]) for turn in range(len(markers)) for i, color in enumerate(colors)
    ]
    color_markers: dict[str, ColorMarker] = {}
    for name in sorted(undeclared):
        first = crc32(name.encode()) % len(_SPARE)
        order = every[first : len(_SPARE)] + every[:first] + every[len(_SPARE) :]
        color_markers[name] = next(
            (
                color_marker
                for color_marker in order
                if color_marker not in (*color_markers.values(), *declared.values())
            ),
            order[0],
        )
    return color_markers


def _variant_styles(family: str, variants: Sequence[str], color: str, marker: str) -> dict[str, PlotStyle]:
    shades = _shades(color, len(variants))
    return {
        label: PlotStyle(family, shades[i], marker, _DASHES[i % len(_DASHES)], _FILLS[i % len(_FILLS)])
        for i, label in enumerate(variants)
    }


def _shades(color: str, number: int) -> list[str]:
    """Return shades from the color of the family toward black. Paler shades would be hard to see on paper.

    The last shade is still light enough to recognize the hue. Shades of black go toward white instead.
    """
    end, most = ("white", 0.5) if color == "#000000" else ("black", 0.4)
    return [blend(color, end, most * i / max(number - 1, 1)) for i in range(number)]
