"""Marks the artists of a figure with the strategy that they show, so that the page can hide or show a strategy.

The mark is matplotlib's `gid`, which becomes the `id` of an element in SVG.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_PREFIX = "strategy-"
TITLE_TAG = "figure-title"
"""The `gid` of a figure's title. The page removes the element, because it has its own heading."""
TAG = re.compile(rf"({_PREFIX}[0-9a-f]{{10}})\.\d+")


def strategy_tag(label: str) -> str:
    """The `gid` of the artists of a strategy: the same in every figure, and a valid identifier in HTML and SVG."""
    return _PREFIX + hashlib.sha256(label.encode()).hexdigest()[:10]


@contextmanager
def tag_artists(axes: Axes, label: str) -> Iterator[None]:
    """Tag the artists that are added to `axes` within the `with` block as those of a strategy."""
    before = set(axes.get_children())
    yield
    for artist in axes.get_children():
        if artist not in before:
            artist.set_gid(strategy_tag(label))


def number_tags(figure: Figure) -> None:
    """Tag the entries of the legend, and append numbers to all tags: `strategy-….1`, `strategy-….2`, ...

    Numbers are necessary because identifiers in a file must be unique.
    """
    tags = {str(artist.get_gid()) for artist in figure.findobj() if artist.get_gid()}
    for legend in figure.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            # the artist's label is the strategy's label without line breaks
            if (tag := strategy_tag(str(text.get_label() or text.get_text()))) in tags:
                text.set_gid(tag)
                if handle is not None:
                    handle.set_gid(tag)
    counts: Counter[str] = Counter()
    for artist in figure.findobj(lambda artist: str(artist.get_gid() or "").startswith(_PREFIX)):
        tag = str(artist.get_gid())
        counts[tag] += 1
        artist.set_gid(f"{tag}.{counts[tag]}")
