"""The contrast of colors after WCAG 2.2: at least 3 to 1 for graphics that carry information, 4.5 to 1 for text."""

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_hex, to_rgb

WORDS = 4.5
"""The contrast that text needs."""
Color = str | tuple[float, float, float] | npt.NDArray[np.float64]
"""A color name that matplotlib accepts, or red, green and blue in 0..1."""


def contrast(color: Color, behind: Color = "white") -> float:
    """Return the contrast ratio of two colors, from 1 (equal) to 21 (black and white). The order does not matter.

    >>> round(contrast("black", "white"))
    21
    """
    dark, light = sorted((_luminance(color), _luminance(behind)))
    return (light + 0.05) / (dark + 0.05)


def blend(color: Color, other: Color, share: float) -> str:
    """Mix two colors and return `#rrggbb`.

    Args:
        color: the first color.
        other: the second color.
        share: the share of the second color, in 0..1.

    >>> blend("black", "white", 0.5)
    '#808080'
    """
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(_rgb(color), _rgb(other), strict=True))
    return to_hex((red, green, blue))


def scaled_to_brightest(color: Color) -> str:
    """Return the brightest color of the same hue, whose largest component is 1. Black has no hue and becomes white.

    >>> scaled_to_brightest("#400000")
    '#ff0000'
    """
    red, green, blue = _rgb(color)
    largest = max(red, green, blue)
    return to_hex((red / largest, green / largest, blue / largest)) if largest > 0 else "#ffffff"


def readable_color(color: Color) -> str:
    """Darken a color until it has the contrast that text on white needs."""
    shades = (blend(color, "black", part / 20) for part in range(21))
    return next(shade for shade in shades if contrast(shade) >= WORDS)


def text_color_on(behind: Color) -> str:
    """Return black or white, whichever has the higher contrast to the background. It is always at least 4.5 to 1.

    >>> text_color_on("yellow")
    'black'
    """
    return max("black", "white", key=lambda color: contrast(color, behind))


def _luminance(color: Color) -> float:
    """The relative luminance of WCAG 2.2, from 0 (black) to 1 (white)."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in _rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(color: Color) -> tuple[float, float, float]:
    red, green, blue = to_rgb(color) if isinstance(color, str) else map(float, color)
    return red, green, blue
