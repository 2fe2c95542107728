"""Which parts of a figure belong to which strategy, so that a page can switch them on and off."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_PREFIX = "strategy-"
TITLE_TAG = "figure-title"
"""The `gid` of a figure's title, which a page leaves out."""
TAG = re.compile(rf"({_PREFIX}[0-9a-f]{{10}})\.\d+")


def strategy_tag(label: str) -> str:
    """The `gid` of all that is drawn of a strategy: the same in every figure, and safe as an identifier."""
    return _PREFIX + hashlib.sha256(label.encode()).hexdigest()[:10]


@contextmanager
def tag_artists(axes: Axes, label: str) -> Iterator[None]:
    """Whatever is added to the axes meanwhile is of that strategy."""
    before = set(axes.get_children())
    yield
    for artist in axes.get_children():
        if artist not in before:
            artist.set_gid(strategy_tag(label))


def number_tags(figure: Figure) -> None:
    """`strategy-….1`, `strategy-….2`: identifiers in a file must be unique. The legend's entries are tagged too."""
    tags = {str(artist.get_gid()) for artist in figure.findobj() if artist.get_gid()}
    for legend in figure.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            # a label that was broken into lines stands there whole
            if (tag := strategy_tag(str(text.get_label() or text.get_text()))) in tags:
                text.set_gid(tag)
                if handle is not None:
                    handle.set_gid(tag)
    seen: Counter[str] = Counter()
    for artist in figure.findobj(lambda artist: str(artist.get_gid() or "").startswith(_PREFIX)):
        tag = str(artist.get_gid())
        seen[tag] += 1
        artist.set_gid(f"{tag}.{seen[tag]}")
