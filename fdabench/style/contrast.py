"""How well a color stands out, after WCAG 2.2: graphics that carry meaning need 3 to 1, words 4.5 to 1."""

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_hex, to_rgb

WORDS = 4.5
Color = str | tuple[float, float, float] | npt.NDArray[np.float64]
"""A name, or red, green and blue in 0..1."""


def contrast(color: Color, behind: Color = "white") -> float:
    """From 1 (the same) to 21 (black on white), in either order."""
    dark, light = sorted((_luminance(color), _luminance(behind)))
    return (light + 0.05) / (dark + 0.05)


def blend(color: Color, other: Color, share: float) -> str:
    """So much of the other color in it, in 0..1."""
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(_rgb(color), _rgb(other), strict=True))
    return to_hex((red, green, blue))


def scaled_to_brightest(color: Color) -> str:
    """The same hue, as bright as it gets: its largest part is 1. Black, which has no hue, becomes white."""
    red, green, blue = _rgb(color)
    largest = max(red, green, blue)
    return to_hex((red / largest, green / largest, blue / largest)) if largest > 0 else "#ffffff"


def readable_color(color: Color) -> str:
    """As much darker as words on white need it."""
    shades = (blend(color, "black", part / 20) for part in range(21))
    return next(shade for shade in shades if contrast(shade) >= WORDS)


def text_color_on(behind: Color) -> str:
    """Black or white, whichever can be read there; one of them always has 4.5 to 1."""
    return max("black", "white", key=lambda color: contrast(color, behind))


def _luminance(color: Color) -> float:
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in _rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(color: Color) -> tuple[float, float, float]:
    red, green, blue = to_rgb(color) if isinstance(color, str) else map(float, color)
    return red, green, blue
