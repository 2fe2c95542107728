"""The colors of a page's figures as CSS variables, so that a dark page shows them on its own background.

A color's dark counterpart has at least the contrast that the color has on white, up to what white has in the dark, and
colors keep their order: whatever stands out on white stands out in the dark, and what is faint stays faint.
"""

from collections.abc import Iterable

from fdabench.style.contrast import Color, blend, contrast, scaled_to_brightest

CARD = "#15181c"
"""Behind figures on a dark page: the page itself."""
_STEPS = 24
# thin lines look fainter on a dark background than on white
_STRETCH = 1.25
# below it a color is what is behind it
_SAME = 1.01


def dark_color(color: str) -> str:
    """The color of the same hue that has on `CARD` at least the contrast of `color` on white; at most that of white."""
    wanted = min(contrast(color) ** _STRETCH, contrast("white", CARD))
    if wanted < _SAME:
        return CARD
    low, high = 0.0, 2.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        shade = _shade(color, middle)
        bright = contrast(shade, "black") >= contrast(CARD, "black")
        low, high = (low, middle) if bright and contrast(shade, CARD) >= wanted else (middle, high)
    return _shade(color, high)


def _shade(color: Color, place: float) -> str:
    """From black (0) over the brightest color of the same hue (1) to white (2)."""
    brightest = scaled_to_brightest(color)
    return blend("black", brightest, place) if place <= 1 else blend(brightest, "white", place - 1)


def variable(color: str) -> str:
    """The name of a color's variable: `#009e73` is `--c009e73`."""
    return f"--c{color.removeprefix('#')}"


def declarations(colors: Iterable[str]) -> str:
    """A style sheet with each color's values: as it is on white and on paper, and its counterpart on a dark screen."""
    found = sorted(set(colors))
    light = "".join(f"{variable(color)}:{color};" for color in found)
    night = "".join(f"{variable(color)}:{dark_color(color)};" for color in found)
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{night}}}}}\n"
