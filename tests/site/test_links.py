"""The link check of the built site reports broken links only."""

from pathlib import Path

import pytest
from check_links import faults

GOOD = '<a href="other.html#there">x</a><a href="https://example.org/x">y</a><a href="#here">z</a><p id="here"></p>'


def site(folder: Path, page: str, style: str = "") -> Path:
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / "other.html").write_text('<p id="there"></p>', encoding="utf-8")
    (folder / "style.css").write_text(style, encoding="utf-8")
    return folder


def test_valid_links_have_no_fault(tmp_path: Path) -> None:
    style = "a { background: url(data:image/png;base64,AA) } b { background: url('images/b.png') }"
    assert list(faults(site(tmp_path, GOOD, style))) == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="absent.html">x</a>', "absent.html: no such file"),
        ('<img src="absent.png">', "absent.png: no such file"),
        ('<a href="other.html#nowhere">x</a>', "other.html#nowhere: no such anchor"),
        ('<a href="#nowhere">x</a>', "#nowhere: no such anchor"),
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js from another host"),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', "loads //fonts.example/x.css from another host"),
    ],
)
def test_a_fault_is_named_with_its_page(page: str, fault: str, tmp_path: Path) -> None:
    assert list(faults(site(tmp_path, page))) == [f"index.html: {fault}"]


@pytest.mark.parametrize("style", ["@import 'https://fonts.example/x';", "a { src: url(//fonts.example/x) }"])
def test_a_style_that_loads_from_another_host_is_a_fault(style: str, tmp_path: Path) -> None:
    (fault,) = faults(site(tmp_path, GOOD, style))
    assert fault.startswith("style.css: loads ")


def test_a_folder_without_pages_is_a_fault(tmp_path: Path) -> None:
    assert list(faults(tmp_path)) == [f"{tmp_path}: no HTML page"]
