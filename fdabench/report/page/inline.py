"""A figure within a page: its SVG without what only a file of its own needs, and with words for who cannot see it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from fdabench.report.figures.tags import TAG, TITLE_TAG
from fdabench.report.page.render import RenderedFigure
from fdabench.style.dark import variable

_POINT_TO_PIXEL = 96 / 72
_LINK = re.compile(r"url\(#([^)]+)\)")
# a hundredth of a point is finer than any screen
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_PLACES = ("d", "x", "y")
_DROPPED = ("metadata", "style")
# in a style, and never that of a reference such as url(#a1b2c3)
_COLOR = re.compile(r"(?<=: )#[0-9a-f]{6}\b")
_PAINTS = ("fill", "stroke")
# the page chooses the family: the file's own is the same long list at every word
_FAMILY = re.compile(r"font-family: [^;]+(?:; |$)")
# a factor may be small, a place in points may not
_MOVE = re.compile(r"(?:rotate|translate)\([^)]*\)")
_NO_TURN = re.compile(r"rotate\(-?0 [^)]*\) ?")


@dataclass(frozen=True)
class InlineSvg:
    """`width` in CSS pixels; `tags` are the strategies that it can switch on and off; `colors` are hexadecimal."""

    svg: str
    width: int
    tags: frozenset[str]
    colors: frozenset[str]


def inline_svg(figure: RenderedFigure) -> InlineSvg:
    """The SVG as an element of HTML, without its title, each color a variable of the page (`dark.variable`).

    Identifiers begin with the figure's name, as a page has many figures.
    """
    root = ElementTree.fromstring(figure.files["svg"])
    _drop(root)
    used = set(_references(root))
    tags, colors = set(), set()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        found = TAG.fullmatch(element.get("id", ""))
        if found:
            tags.add(found[1])
            element.set("class", found[1])
        _paints_as_style(element)
        colors |= set(_COLOR.findall(element.get("style", "")))
        _rewrite(element, figure.name, used)
    _crop(root, figure.headroom)
    width = round(float(root.attrib.pop("width").removesuffix("pt")) * _POINT_TO_PIXEL)
    del root.attrib["height"]
    _describe(root, figure)
    return InlineSvg(ElementTree.tostring(root, encoding="unicode"), width, frozenset(tags), frozenset(colors))


def _drop(element: ElementTree.Element) -> None:
    """Metadata and a style sheet that would reach the whole page; blanks between elements."""
    element.tail = None
    if not element.tag.endswith("}text"):
        element.text = None
    for child in list(element):
        if child.tag.rpartition("}")[2] in _DROPPED or child.get("id") == TITLE_TAG:
            element.remove(child)
        else:
            _drop(child)


def _crop(root: ElementTree.Element, headroom: float) -> None:
    """So many points less at the top."""
    if headroom:
        left, top, width, height = map(float, root.attrib["viewBox"].split())
        root.set("viewBox", f"{left:g} {top + headroom:g} {width:.6g} {height - headroom:.6g}")


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name.endswith("href") and value.startswith("#"):
                yield value[1:]
            yield from _LINK.findall(value)


def _rewrite(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    attributes = dict(element.attrib)
    element.attrib.clear()
    for name, value in attributes.items():
        short = name.rpartition("}")[2]
        if short == "id":
            if value in used:
                element.set("id", f"{prefix}-{value}")
        elif short == "href":
            element.set("href", f"#{prefix}-{value[1:]}" if value.startswith("#") else value)
        elif short in _PLACES:
            element.set(short, " ".join(_LONG_NUMBER.sub(_rounded, value).split()))
        elif short == "transform":
            if moved := _NO_TURN.sub("", value):
                element.set(short, _MOVE.sub(lambda found: _LONG_NUMBER.sub(_rounded, found.group()), moved))
        elif short == "style":
            element.set(short, _styled(_LINK.sub(rf"url(#{prefix}-\1)", value)))
        else:
            element.set(short, _LINK.sub(rf"url(#{prefix}-\1)", value))


def _paints_as_style(element: ElementTree.Element) -> None:
    """A variable has no effect in an attribute of its own, as in the patterns of hatches."""
    paints = [f"{name}: {color}" for name in _PAINTS if (color := element.attrib.pop(name, None))]
    if paints:
        element.set("style", "; ".join([*paints, *filter(None, [element.get("style")])]))


def _styled(value: str) -> str:
    """Colors by name, as a dark page has others."""
    return _COLOR.sub(lambda found: f"var({variable(found.group())})", _FAMILY.sub("", value))


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


def _describe(root: ElementTree.Element, figure: RenderedFigure) -> None:
    """As one picture with a name and a description: its numbers one by one, as they are drawn, would tell nothing."""
    words = {"title": figure.title, "desc": figure.caption}
    for place, (tag, text) in enumerate(words.items()):
        element = ElementTree.Element(tag, {"id": f"{figure.name}-{tag}"})
        element.text = text
        root.insert(place, element)
    root.set("role", "img")
    root.set("aria-labeledby", f"{figure.name}-title")
    root.set("aria-describedby", f"{figure.name}-desc")
