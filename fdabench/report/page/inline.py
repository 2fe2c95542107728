"""Converts the SVG file of a figure into an element of the HTML page.

`inline_svg` removes what only a separate file needs, replaces colors by CSS variables, and adds a title and a
description for screen readers. `page.page_figure` calls it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from fdabench.report.figures.tags import TAG, TITLE_TAG
from fdabench.report.page.render import RenderedFigure
from fdabench.style.dark import variable

_POINT_TO_PIXEL = 96 / 72
_LINK = re.compile(r"url\(#([^)]+)\)")
# coordinates are rounded to hundredths of a point, which no screen resolves
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_COORDINATE_ATTRIBUTES = ("d", "x", "y")
_REMOVED_ELEMENTS = ("metadata", "style")
# a color in a style attribute, but not a reference such as url(#a1b2c3)
_COLOR = re.compile(r"(?<=: )#[0-9a-f]{6}\b")
_COLOR_ATTRIBUTES = ("fill", "stroke")
# removed, because the page sets the font family; the file repeats a long list of fonts at each text
_FAMILY = re.compile(r"font-family: [^;]+(?:; |$)")
# transforms whose numbers are rounded; those of scale and matrix are not, because they may be small
_ROTATE_OR_TRANSLATE = re.compile(r"(?:rotate|translate)\([^)]*\)")
_ROTATE_BY_ZERO = re.compile(r"rotate\(-?0 [^)]*\) ?")


@dataclass(frozen=True)
class InlineSvg:
    """A figure as an element of HTML.

    Args:
        svg: the element as text.
        width: in CSS pixels.
        tags: classes of the strategies that the page can show and hide.
        colors: hexadecimal; the page has to define a variable for each.
    """

    svg: str
    width: int
    tags: frozenset[str]
    colors: frozenset[str]


def inline_svg(figure: RenderedFigure) -> InlineSvg:
    """Convert the SVG of a figure into an element of HTML.

    The title is removed, because the page has a heading. Each color is replaced by a variable of the page
    (`dark.variable`). Identifiers are prefixed with the name of the figure, because a page has several figures.

    Args:
        figure: with the key "svg" in `files`.
    """
    root = ElementTree.fromstring(figure.files["svg"])
    _remove_unused(root)
    used = set(_references(root))
    tags, colors = set(), set()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        match = TAG.fullmatch(element.get("id", ""))
        if match:
            tags.add(match[1])
            element.set("class", match[1])
        _colors_as_style(element)
        colors |= set(_COLOR.findall(element.get("style", "")))
        _rewrite(element, figure.name, used)
    _crop(root, figure.headroom)
    width = round(float(root.attrib.pop("width").removesuffix("pt")) * _POINT_TO_PIXEL)
    del root.attrib["height"]
    _describe(root, figure)
    return InlineSvg(ElementTree.tostring(root, encoding="unicode"), width, frozenset(tags), frozenset(colors))


def _remove_unused(element: ElementTree.Element) -> None:
    """Remove metadata, title, white space between elements, and the style sheet, which would affect the whole page."""
    element.tail = None
    if not element.tag.endswith("}text"):
        element.text = None
    for child in list(element):
        if child.tag.rpartition("}")[2] in _REMOVED_ELEMENTS or child.get("id") == TITLE_TAG:
            element.remove(child)
        else:
            _remove_unused(child)


def _crop(root: ElementTree.Element, headroom: float) -> None:
    """Remove `headroom` points at the top."""
    if headroom:
        left, top, width, height = map(float, root.attrib["viewBox"].split())
        root.set("viewBox", f"{left:g} {top + headroom:g} {width:.6g} {height - headroom:.6g}")


def _references(root: ElementTree.Element) -> Iterator[str]:
    """The identifiers that elements refer to."""
    for element in root.iter():
        for name, value in element.attrib.items():
            if name.endswith("href") and value.startswith("#"):
                yield value[1:]
            yield from _LINK.findall(value)


def _rewrite(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Shorten the attributes of an element: prefix identifiers, remove unused ones, and round numbers."""
    attributes = dict(element.attrib)
    element.attrib.clear()
    for name, value in attributes.items():
        short = name.rpartition("}")[2]
        if short == "id":
            if value in used:
                element.set("id", f"{prefix}-{value}")
        elif short == "href":
            element.set("href", f"#{prefix}-{value[1:]}" if value.startswith("#") else value)
        elif short in _COORDINATE_ATTRIBUTES:
            element.set(short, " ".join(_LONG_NUMBER.sub(_round_match, value).split()))
        elif short == "transform":
            if transform := _ROTATE_BY_ZERO.sub("", value):
                element.set(short, _ROTATE_OR_TRANSLATE.sub(_round_numbers, transform))
        elif short == "style":
            element.set(short, _substitute_style(_LINK.sub(rf"url(#{prefix}-\1)", value)))
        else:
            element.set(short, _LINK.sub(rf"url(#{prefix}-\1)", value))


def _colors_as_style(element: ElementTree.Element) -> None:
    """Move fill and stroke into the style, because a CSS variable has no effect in their attributes."""
    declarations = [f"{name}: {color}" for name in _COLOR_ATTRIBUTES if (color := element.attrib.pop(name, None))]
    if declarations:
        element.set("style", "; ".join([*declarations, *filter(None, [element.get("style")])]))


def _substitute_style(value: str) -> str:
    """Replace colors in a style by variables, which have other values in the dark theme, and remove the font family."""
    return _COLOR.sub(lambda match: f"var({variable(match.group())})", _FAMILY.sub("", value))


def _round_match(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


def _round_numbers(text: re.Match[str]) -> str:
    return _LONG_NUMBER.sub(_round_match, text.group())


def _describe(root: ElementTree.Element, figure: RenderedFigure) -> None:
    """Declare the figure as one image with a name and a description, for screen readers.

    Without that, they read the texts of the figure one by one.
    """
    texts = {"title": figure.title, "desc": figure.caption}
    for index, (tag, text) in enumerate(texts.items()):
        element = ElementTree.Element(tag, {"id": f"{figure.name}-{tag}"})
        element.text = text
        root.insert(index, element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{figure.name}-title")
    root.set("aria-describedby", f"{figure.name}-desc")
