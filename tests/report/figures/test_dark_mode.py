"""Figures in dark mode: contrasts are sufficient and in the same order as on white."""

import re
from importlib.resources import files
from itertools import pairwise
from typing import Any

import pytest

from fdabench.style.contrast import blend, contrast
from fdabench.style.dark import CARD, dark_color, declarations, variable
from fdabench.style.plot_style import assign_styles
from support.components import COLOR_MARKERS

KNOWN = (
    "Synchronous",
    "LinearFDA",
    "SketchFDA",
    "FedAdam",
    "NaiveFDA",
    "ExactFDA",
    "FedAvg",
    "FedAvgM",
    "kamp",
    "gossip",
)
GREATEST = contrast("white", CARD)


@pytest.mark.parametrize("variants", [1, 5])
def test_every_strategy_has_enough_contrast_in_dark_mode(variants: int) -> None:
    for family in KNOWN:
        for style in assign_styles({f"{family} {i}": family for i in range(variants)}, COLOR_MARKERS).values():
            assert contrast(dark_color(style.color), CARD) >= 3.0
            assert contrast(dark_color(style.color), CARD) >= min(contrast(style.color), GREATEST) * 0.99


def test_dark_mode_keeps_the_order_of_contrasts() -> None:
    grays = [blend("black", "white", part / 20) for part in range(21)]
    actual = [contrast(dark_color(grey), CARD) for grey in grays]
    assert all(above >= below for above, below in pairwise(actual))
    assert actual[0] == pytest.approx(GREATEST)
    assert actual[-1] == 1.0


def test_white_becomes_the_background_and_black_becomes_white() -> None:
    assert dark_color("#ffffff") == CARD
    assert dark_color("#000000") == "#ffffff"


def test_dark_mode_keeps_the_hue() -> None:
    red, green, blue = (int(dark_color("#d1260b")[at : at + 2], 16) for at in (1, 3, 5))
    assert red > green > blue


def test_each_color_is_declared_once_for_light_and_for_dark_screens_and_paper_is_light() -> None:
    style = declarations(["#d1260b", "#000000", "#d1260b"])
    assert style.count("--cd1260b:") == 2
    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert style.index("--c000000:#000000") < style.index("@media") < style.index("--c000000:#ffffff")


def test_every_color_of_a_figure_is_a_css_variable(full_report: Any) -> None:
    page = (full_report.folder / "index.html").read_text(encoding="utf-8")
    pictures = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert re.findall(r"[:\"] ?#[0-9a-fA-F]{3,8}\b(?=[;\"])", re.sub(r"href=\"[^\"]*\"", "", pictures)) == []
    used = set(re.findall(r"var\((--c[0-9a-f]{6})\)", pictures))
    assert len(used) > 10
    style = page[page.index("<style>") : page.index("</style>")]
    assert {name for name in used if style.count(f"{name}:") != 2} == set()
    assert variable("#ffffff") in used, "the plate of a figure is the page's own"
    assert "figure-title" not in page


def test_the_background_is_that_of_the_dark_page() -> None:
    style = files("fdabench.report.page").joinpath("templates", "index.css").read_text(encoding="utf-8")
    assert style.count(f"--page: {CARD};") == style.count(f"--card: {CARD};") == 1
