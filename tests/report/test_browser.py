"""The page in a browser: it loads no other file, sorts, filters, hides strategies, and fits a phone."""

import json
import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fdabench.report.figures.tags import strategy_tag
from support.scripts.browser_scripts import CONTRAST, DARK_FIGURES, FOCUSED, OUTSIDE, SCROLLING, SIZES, UNSCROLLED

pytestmark = pytest.mark.browser
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LABEL = "SketchFDA θ=1"
ROOT = Path(__file__).parents[2]


def chromium() -> str | None:
    return os.environ.get("FDABENCH_BROWSER") or next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser with its own profile; no browser is downloaded."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (the extra `dev` has it)"
    )
    path = chromium()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on PATH, and FDABENCH_BROWSER names none")
    profile = tmp_path_factory.mktemp("profile")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch_persistent_context(profile, executable_path=path, headless=True, args=[*FLAGS])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def index(full_report: Any) -> str:
    return (full_report.folder / "index.html").as_uri()


@pytest.fixture
def page(browser: Any, index: str) -> Iterator[Any]:
    """The loaded page; a message on the console or a request fails the test."""
    tab, faults = browser.new_page(), []
    tab.on("console", lambda message: faults.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: faults.append(f"error: {error}"))
    tab.on(
        "request", lambda request: faults.append(request.url) if not request.url.startswith(("data:", index)) else None
    )
    tab.goto(index)
    yield tab
    tab.close()
    assert [fault for fault in faults if not fault.startswith(("data:", index))] == []


def column(page: Any, number: int) -> list[str]:
    """The values of a column in the visible rows of the table of all cells."""
    actual: list[str] = page.locator("#cells-table tbody tr:visible").evaluate_all(
        "(rows, number) => rows.map(row => row.cells[number].textContent.replace(/\\s/g, ' '))", number
    )
    return actual


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 390, 768, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_does_not_scroll_horizontally(page: Any, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_table_and_figure_fits_a_screen_of_1400_pixels(page: Any) -> None:
    page.set_viewport_size({"width": 1400, "height": 900})
    boxes = page.locator(".scroll, .picture")
    assert boxes.count() > 15
    assert boxes.evaluate_all(SCROLLING) == []
    assert page.locator(".hint:visible").count() == 0


def test_the_first_screen_has_the_conclusion_and_the_caveats(page: Any) -> None:
    """At 1400 by 900: title, date and machine, the sentence, the caveats, and the table after them."""
    page.set_viewport_size({"width": 1400, "height": 900})
    tops = [
        page.locator(what).first.bounding_box()["y"]
        for what in ("h1", ".facts", ".sentence", "#caveats", "#headline table thead")
    ]
    assert tops == sorted(tops)
    assert tops[-1] < 900


def test_scrolling_tables_on_a_phone_have_a_hint_and_a_fixed_first_column(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    boxes = page.locator(".scroll, .picture")
    page.wait_for_function(f"({SCROLLING})(document.querySelectorAll('.overflowing')).length > 5")
    message = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1 && e.previousElementSibling.hidden).length"
    assert boxes.evaluate_all(message) == 0
    assert page.locator(".hint:visible").first.inner_text().startswith("scroll →")
    first = page.locator("#headline tbody th[scope=row]").first
    before = first.bounding_box()
    page.locator("#headline .scroll").evaluate("box => box.scrollLeft = 200")
    after = first.bounding_box()
    assert after["x"] == pytest.approx(before["x"], abs=1), "the first column stays"
    widths = page.locator(".overflowing tbody th[scope=row]").evaluate_all("all => all.map(e => e.offsetWidth)")
    assert max(widths) < 390 / 2


def test_text_of_figures_is_twelve_pixels_high(page: Any) -> None:
    page.set_viewport_size({"width": 1400, "height": 900})
    sizes = page.locator("figure").evaluate_all(SIZES)
    assert len(sizes) > 7
    assert {name: size for name, size in sizes if size < 11.95} == {}


def test_text_of_figures_stays_within_them(page: Any) -> None:
    """With the fonts that this machine has: the file was laid out with those of another."""
    page.set_viewport_size({"width": 1400, "height": 900})
    assert page.locator("figure svg").evaluate_all(OUTSIDE) == []


def test_figures_have_enough_contrast_in_dark_mode_without_a_white_background(page: Any) -> None:
    """Each word of a figure, and its lines and marks, on the plate that the browser really paints."""
    page.emulate_media(color_scheme="dark")
    actual = page.locator("figure svg").evaluate_all(DARK_FIGURES)
    assert len(actual) > 7
    assert max(item["plate"] for item in actual) < 0.05, "luminance of the plate"
    assert min(item["words"] for item in actual) >= 4.5
    assert min(item["lines"] for item in actual) >= 3


def test_every_link_has_a_target_in_the_file(page: Any) -> None:
    links = page.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    anchors = [link for link in links if not link.startswith("data:")]
    assert all(link.startswith("#") and page.locator(f"[id='{link[1:]}']").count() == 1 for link in anchors)
    assert len(links) - len(anchors) > 30
    with page.expect_download() as caught:
        page.locator("a[download='tables-headline.csv']").click()
    assert "strategy" in caught.value.path().read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["Tab", "Shift+Tab"])
@pytest.mark.parametrize("width", [390, 1400])
def test_the_tab_key_reaches_every_control_in_order_and_the_focus_is_visible(page: Any, width: int, key: str) -> None:
    """No control is left out, none keeps the focus, and nothing that stays in place covers the one with the focus."""
    page.set_viewport_size({"width": width, "height": 800})
    for i in range(3):
        page.locator("summary").nth(i).evaluate("e => e.parentElement.open = true")
    count = page.evaluate(f"({FOCUSED.replace('.indexOf(e)', '.length')})()")["stop"]
    assert count > 70
    stops = []
    for _ in range(count):
        page.keyboard.press(key)
        stops.append(page.evaluate(FOCUSED))
    assert [stop["stop"] for stop in stops] == list(range(count))[:: 1 if key == "Tab" else -1]
    assert [stop["text"] for stop in stops if not (stop["outline"] and stop["uncovered"])] == []
    page.keyboard.press(key)
    assert page.evaluate(FOCUSED)["stop"] == -1, "the focus leaves the page"


@pytest.mark.parametrize("width", [390, 1400])
def test_the_arrow_keys_scroll_each_box_that_is_a_stop_of_the_tab_key(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    boxes = page.locator(".scroll, .picture")
    page.wait_for_function(
        f"() => ({SCROLLING})(document.querySelectorAll('.overflowing')).length > 5 || {width} > 1000"
    )
    stops = 0
    for i in range(boxes.count()):
        box = boxes.nth(i)
        box.evaluate("e => { e.tabIndex === 0 && e.focus(); }")
        stops += box.evaluate("e => e === document.activeElement")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(100)
        assert not box.evaluate(UNSCROLLED), box.get_attribute("aria-labelledby")
    beyond = "(e) => Math.max(e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight) > 1"
    assert stops == boxes.evaluate_all(f"all => all.filter({beyond}).length") > 0, "no stop where the content fits"


def test_the_filter_keeps_the_table_of_all_cells_a_stop_exactly_while_it_scrolls(page: Any) -> None:
    page.set_viewport_size({"width": 1400, "height": 900})
    box = page.locator(".scroll:has(#cells-table)")
    for words, expected in (("", 0), ("sketchfda iid s0", -1), ("", 0)):
        page.get_by_label("Show only cells").fill(words)
        page.wait_for_function(f"() => document.querySelector('.scroll:has(#cells-table)').tabIndex === {expected}")
        assert box.evaluate("e => e.scrollHeight > e.clientHeight + 1") == (expected == 0)


def test_the_first_column_and_its_heading_cover_what_is_scrolled_below_them(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    box = page.locator(".scroll:has(#cells-table)")
    box.evaluate("e => { e.scrollIntoView(); e.scrollLeft = 200; e.scrollTop = 100; }")
    corner = page.locator("#cells-table thead th").first
    assert corner.evaluate("""e => {
      const box = e.getBoundingClientRect();
      return e.contains(document.elementFromPoint(box.right - 4, box.bottom - 4));
    }""")


def test_the_skip_link_leads_past_the_contents(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the conclusion"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_opens_and_closes_the_choice_of_strategies(page: Any, key: str) -> None:
    summary = page.locator("#figure-pareto summary")
    summary.focus()
    page.keyboard.press(key)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "checkbox"
    page.keyboard.press("Space")
    assert "4 of 5 shown" in summary.inner_text()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press(key)
    assert not page.locator("#figure-pareto details").evaluate("e => e.open")


def test_the_printed_page_fits_its_paper(page: Any) -> None:
    """A4 with margins of 15 mm; what scrolls on a screen is whole on paper."""
    page.set_viewport_size({"width": 680, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    boxes = page.locator(".scroll, .picture")
    assert boxes.evaluate_all("boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_with_its_background(page: Any, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for text, on the color that really lies behind it."""
    page.emulate_media(color_scheme=scheme)
    worst = page.evaluate(CONTRAST)
    assert worst["ratio"] >= 4.5, worst


def test_a_click_on_a_heading_sorts_numerically(page: Any) -> None:
    heading = page.locator("#cells-table th", has_text="bytes")
    before = column(page, 7)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    ascending = column(page, 7)
    sizes = [in_bytes(text) for text in ascending if text != "–"]
    assert sizes == sorted(sizes)
    assert sorted(ascending) == sorted(before) != ascending
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert [in_bytes(text) for text in column(page, 7) if text != "–"] == sizes[::-1]
    assert column(page, 7)[-1] == "–", "what is missing stays last"


def test_the_keyboard_sorts_text_columns(page: Any) -> None:
    page.locator("#cells-table th", has_text="label").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert column(page, 2) == sorted(column(page, 2))
    assert page.locator("th[aria-sort]").count() == 1
    page.keyboard.press("Space")
    assert column(page, 2) == sorted(column(page, 2), reverse=True)
    assert "Sorted by label, descending" in page.locator("#cells-status").inner_text()


def test_the_filter_keeps_the_cells_with_all_search_terms(page: Any) -> None:
    page.get_by_label("Show only cells").fill("sketchfda ID")
    assert set(column(page, 2)) == {LABEL}
    assert len(column(page, 2)) == 3
    assert page.locator("#cells-status").inner_text() == "3 of 36 cells shown."
    page.get_by_label("Show only cells").fill("no such cell")
    assert column(page, 2) == []
    page.get_by_label("Show only cells").fill("")
    assert len(column(page, 2)) == 36


@pytest.mark.parametrize("figure", ["pareto", "accuracy-bytes", "accuracy-steps"])
def test_a_switch_hides_and_shows_a_strategy(page: Any, figure: str) -> None:
    box = page.locator(f"#figure-{figure}")
    parts = box.locator(f"svg .{strategy_tag(LABEL)}:visible")
    others = box.locator(f"svg .{strategy_tag('Synchronous')}:visible")
    elsewhere = page.locator(f"figure:not(#figure-{figure}) svg .{strategy_tag(LABEL)}:visible")
    samples, left, away = parts.count(), others.count(), elsewhere.count()
    assert min(samples, left, away) > 0
    box.locator("summary").click()
    box.get_by_label(LABEL).uncheck()
    assert (parts.count(), others.count(), elsewhere.count()) == (0, left, away)
    shown = {"pareto": "4 of 5 shown"}.get(figure, "5 of 6 shown")
    assert shown in box.locator("summary").inner_text()
    box.get_by_label(LABEL).focus()
    page.keyboard.press("Space")
    assert parts.count() == samples


def test_without_javascript_all_content_is_visible(browser: Any, index: str) -> None:
    plain = browser.browser.new_context(java_script_enabled=False) if browser.browser else None
    if plain is None:
        pytest.skip("this browser opens no second context")
    page = plain.new_page()
    page.goto(index)
    assert page.locator("#cells-table tbody tr:visible").count() == 36
    assert page.locator("figure svg:visible").count() == page.locator("figure").count() > 7
    assert page.locator(".switches:visible, #cells-filter:visible, thead button").count() == 0
    plain.close()


@pytest.mark.slow
def test_every_section_has_a_name_for_screen_readers(page: Any) -> None:
    named = "all => all.filter(e => !e.getAttribute('aria-labelledby') && !e.labels?.length).map(e => e.outerHTML)"
    assert page.locator("[role=region], svg, input, nav, aside").evaluate_all(named) == []
    levels = page.evaluate("Array.from(document.querySelectorAll('h1,h2,h3')).map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels)), json.dumps(levels)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page: Any, width: int, scheme: str) -> None:
    """axe-core's rules, all of them; its file is never downloaded by the test."""
    path = Path(os.environ.get("FDABENCH_AXE") or ROOT / "node_modules" / "axe-core" / "axe.min.js")
    if not path.is_file():
        pytest.skip("no axe-core: `npm install --no-save axe-core` puts it here, or FDABENCH_AXE names axe.min.js")
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.evaluate(path.read_text(encoding="utf-8"))
    actual = page.evaluate("axe.run()")
    assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in actual["violations"]] == []
    assert len(actual["passes"]) > 30


def in_bytes(text: str) -> float:
    number, unit = text.rsplit(" ", 1)
    return float(number.replace(" ", "")) * 1000 ** ("B", "kB", "MB", "GB").index(unit)
