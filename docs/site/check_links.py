"""Checks every link of the built site without a network: `python docs/site/check_links.py OUT`.

A link within the site must lead to a file that is there and to an anchor of it. A page loads nothing from another host:
no script, no style, no font and no image. The exit code is 0, or 1 with the faults.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src")}
_REMOTE_STYLE = re.compile(r"""(?:@import\s+|url\()\s*["']?((?:https?:)?//[^"')]+)""")


class Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        """Tag and address of each link."""
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif value and (name == "href" or (tag, name) in _LOADS):
                self.links.append((tag, value))


def faults(site: Path) -> Iterator[str]:
    """A sentence for each link that leads nowhere, and for each file that a page or a style loads from another host.

    Args:
        site: the folder that Sphinx has written.
    """
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: no HTML page"
    for path, page in pages.items():
        for tag, address in page.links:
            fault = _fault(path, tag, address, pages)
            if fault:
                yield f"{path.relative_to(site.resolve())}: {fault}"
    for path in sorted(site.rglob("*.css")):
        for address in _REMOTE_STYLE.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)}: loads {address} from another host"


def _fault(path: Path, tag: str, address: str, pages: dict[Path, Page]) -> str:
    """What is wrong with one link of a page, or nothing."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return ""
    if parts.scheme or parts.netloc:
        return f"loads {address} from another host" if tag != "a" else ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.exists():
        return f"{address}: no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return f"{address}: no such anchor"
    return ""


def main() -> int:
    """Print the faults of the site that the command line names."""
    found = list(faults(Path(sys.argv[1])))
    for fault in found:
        print(fault)
    print(f"{sys.argv[1]}: {len(found)} faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
