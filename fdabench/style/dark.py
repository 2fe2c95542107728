"""The colors of figures as CSS variables, so that a report in dark mode draws figures on its own background.

Each color has a dark counterpart. Its contrast to the dark background is at least the contrast of the color to white,
but not more than that of white. The order of the contrasts is kept, so what is faint on white is faint in dark mode.
"""

from collections.abc import Iterable

from fdabench.style.contrast import Color, blend, contrast, scaled_to_brightest

CARD = "#15181c"
"""The background of a page in dark mode, and so the color behind its figures."""
_STEPS = 24
# exponent of the contrast: thin lines look fainter on a dark background than on white
_STRETCH = 1.25
# a color with less contrast to white is treated as white
_SAME = 1.01


def dark_color(color: str) -> str:
    """Return the color of the same hue whose contrast to `CARD` is that of `color` to white, slightly increased.

    It is not more than the contrast of white to `CARD`. The color is found by bisection.
    """
    target_contrast = min(contrast(color) ** _STRETCH, contrast("white", CARD))
    if target_contrast < _SAME:
        return CARD
    low, high = 0.0, 2.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        shade = _shade(color, middle)
        bright = contrast(shade, "black") >= contrast(CARD, "black")
        low, high = (low, middle) if bright and contrast(shade, CARD) >= target_contrast else (middle, high)
    return _shade(color, high)


def _shade(color: Color, place: float) -> str:
    """Return the shade at a position: black at 0, the brightest color of the same hue at 1, white at 2."""
    brightest = scaled_to_brightest(color)
    return blend("black", brightest, place) if place <= 1 else blend(brightest, "white", place - 1)


def variable(color: str) -> str:
    """Return the name of the CSS variable of a color.

    >>> variable("#009e73")
    '--c009e73'
    """
    return f"--c{color.removeprefix('#')}"


def declarations(colors: Iterable[str]) -> str:
    """Return a style sheet that declares a variable for each color, with another value on a screen in dark mode."""
    unique = sorted(set(colors))
    light = "".join(f"{variable(color)}:{color};" for color in unique)
    night = "".join(f"{variable(color)}:{dark_color(color)};" for color in unique)
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{night}}}}}\n"
