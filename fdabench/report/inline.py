"""A figure within a page: its SVG without what only a file of its own needs, and with words for who cannot see it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from fdabench.report.figures.tags import TAG
from fdabench.report.render import Drawn

_POINT_TO_PIXEL = 96 / 72
_LINK = re.compile(r"url\(#([^)]+)\)")
# a hundredth of a point is finer than any screen
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_PLACES = ("d", "x", "y")
_DROPPED = ("metadata", "style")


@dataclass(frozen=True)
class Inline:
    """`width` in CSS pixels; `tags` are the strategies that it can switch on and off."""

    svg: str
    width: int
    tags: frozenset[str]


def inline(figure: Drawn) -> Inline:
    """The SVG as an element of HTML. Its identifiers begin with the figure's name, as a page has many figures."""
    root = ElementTree.fromstring(figure.files["svg"])
    _drop(root)
    used = set(_references(root))
    tags = set()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        found = TAG.fullmatch(element.get("id", ""))
        if found:
            tags.add(found[1])
            element.set("class", found[1])
        _rewrite(element, figure.name, used)
    width = round(float(root.attrib.pop("width").removesuffix("pt")) * _POINT_TO_PIXEL)
    del root.attrib["height"]
    _describe(root, figure)
    return Inline(ElementTree.tostring(root, encoding="unicode"), width, frozenset(tags))


def _drop(element: ElementTree.Element) -> None:
    """Metadata and a style sheet that would reach the whole page; blanks between elements."""
    element.tail = None
    element.text = None
    for child in list(element):
        if child.tag.rpartition("}")[2] in _DROPPED:
            element.remove(child)
        else:
            _drop(child)


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
        else:
            element.set(short, _LINK.sub(rf"url(#{prefix}-\1)", value))


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


def _describe(root: ElementTree.Element, figure: Drawn) -> None:
    """As one picture with a name and a description: its glyphs are shapes, which nobody can read out."""
    words = {"title": figure.title, "desc": figure.caption}
    for place, (tag, text) in enumerate(words.items()):
        element = ElementTree.Element(tag, {"id": f"{figure.name}-{tag}"})
        element.text = text
        root.insert(place, element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{figure.name}-title")
    root.set("aria-describedby", f"{figure.name}-desc")
