"""`index.html` as text: well-formed, self-contained, with escaped names, and with every number in a CSV file."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fdabench.analysis.data import combine_results
from fdabench.formatting import non_breaking
from fdabench.report.build import build_report
from fdabench.report.figures.accuracy import BYTES
from fdabench.report.figures.pareto import PARETO
from fdabench.report.figures.tags import strategy_tag
from fdabench.report.page.inline import inline_svg
from fdabench.report.page.page import group_rows
from fdabench.report.page.render import RenderedFigure
from fdabench.report.tables.build import headline_table
from fdabench.results.load import Results
from support.html_page import Page

RUDE = "<script>alert('x')</script> \"q\" & 'r' $\\frac$ عربي 漢字 " + "long" * 60


def test_every_opened_element_is_closed(page: Page) -> None:
    assert page.open == []


def test_identifiers_are_unique_and_every_reference_has_a_target(page: Page) -> None:
    counts = Counter(page.all("id"))
    assert [name for name, number in counts.items() if number > 1] == []
    referring = [
        *(link[1:] for link in page.all("href") if link.startswith("#")),
        *(name for key in ("aria-labelledby", "aria-describedby", "for") for name in (" ".join(page.all(key))).split()),
        *re.findall(r"url\(#([^)]+)\)", " ".join(page.all("clip-path"))),
    ]
    assert len(referring) > 100
    assert set(referring) <= set(counts)


def test_only_the_script_of_the_page_may_run(report_folder: Path) -> None:
    text = (report_folder / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    (rule,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert f"script-src &#39;sha256-{digest}&#39;" in rule
    assert rule.startswith("default-src &#39;none&#39;")
    assert not re.search(r"\son\w+=", text.replace(scripts[0], ""))


def test_every_figure_has_a_text_for_screen_readers(report_folder: Path, page: Page) -> None:
    pictures = [attrs for tag, attrs in page.elements if tag == "svg"]
    assert len(pictures) == len([*report_folder.glob("figures/*.svg")]) > 7
    assert all(attrs["role"] == "img" and attrs["aria-labelledby"] and attrs["aria-describedby"] for attrs in pictures)
    assert [tag for tag, _ in page.elements].count("figcaption") == len(pictures)


def test_every_strategy_of_a_figure_has_a_switch(report_folder: Path, page: Page, full: Results) -> None:
    tags = {attrs["data-tag"] for _, attrs in page.elements if "data-tag" in attrs}
    assert tags == {strategy_tag(label) for label in full.runs["label"]}
    samples = Counter(name for name in page.all("class") if name.startswith("strategy-"))
    assert set(samples) == tags
    for name in ("pareto", "accuracy-bytes", "accuracy-steps", "heterogeneity"):
        assert strategy_tag("Synchronous") in (report_folder / f"figures/{name}.svg").read_text(encoding="utf-8"), name


def test_the_conclusion_comes_first_then_the_caveats_the_table_and_the_figure(page: Page) -> None:
    text = " ".join(page.text.split())
    places = [
        text.index(words)
        for words in (
            "95 %: FedAvg",
            "have no result yet",
            "Geometric means over the seeds that reached",
            "down and left is better",
            "Accuracy of the mean of the workers' models",
            "36 cells.",
            "Model variance: Var",
            "fdabench run pretended.toml --set budget.steps=400",
            "<b>Bold</b> & plain",
        )
    ]
    assert places == sorted(places)


def test_every_number_of_the_conclusion_is_in_a_csv(report_folder: Path, full: Results) -> None:
    frame = pd.read_csv(report_folder / "tables" / "conclusion.csv")
    assert set(frame["strategy"]) == set(full.runs["label"])
    output = (report_folder / "summary.md").read_text(encoding="utf-8").split("```")[1]
    rows = [
        re.split(r" {2,}", line.strip())
        for line in output.splitlines()
        if " of 6 runs  " in line or " of 4 runs  " in line
    ]
    assert [row[0] for row in rows] == frame["strategy"].tolist()
    for (_, _, *cells), row in list(zip(rows, frame.to_dict("records"), strict=True))[1:]:
        (words,) = (cell for cell in cells if "times as many" in cell)
        limit = {"≥": "bytes_over_best_low", "≤": "bytes_over_best_high"}.get(
            row["bytes_over_best_bound"], "bytes_over_best"
        )
        shown = float(re.findall(r"[\d.]+", words)[0])
        assert shown == pytest.approx(row[limit], rel=0.06)


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two figures with switches only, because the others take long and change nothing in these tests."""
    monkeypatch.setattr("fdabench.report.build.PLOTS", (PARETO, BYTES))


@pytest.mark.usefixtures("few_figures")
def test_text_of_users_is_escaped(results_of: Callable[..., Results], tmp_path: Path) -> None:
    plain = results_of(seeds=(0, 1))
    names = {label: f"{label} {RUDE}" for label in plain.runs["label"].unique()}
    cells = [cell.with_changes({"label": names[cell.label]}) for cell in plain.lock.cell]
    output = dict.fromkeys(("suite", "description", "tuning", "source"), RUDE)
    # such a name is refused where a lock is read; a page is made of anything
    lock = plain.lock.model_copy(update={**output, "cell": cells})
    runs = plain.runs.assign(label=plain.runs["label"].map(names))
    rude = replace(plain, lock=lock, runs=runs)
    build_report([rude], tmp_path, [RUDE])
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert text.count("<script") == 1
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert page.text.count("<script>alert('x')</script>") > 20
    assert page.text.count("عربي") > 20
    assert Counter(page.all("id")).most_common(1)[0][1] == 1


def test_a_page_is_written_without_any_result(nothing: Results, tmp_path: Path) -> None:
    build_report([nothing], tmp_path)
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "No cell of nothing has a result yet." in page.text
    assert "svg" not in {tag for tag, _ in page.elements}


@pytest.mark.usefixtures("few_figures")
def test_two_suites_are_shown_on_one_page(hand_made: Results, full: Results, tmp_path: Path) -> None:
    build_report([hand_made, full], tmp_path)
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "hand: digits mlp" in page.text
    assert Counter(page.all("id")).most_common(1)[0][1] == 1


def test_an_embedded_figure_lacks_the_header_of_a_file() -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="72pt" height="36pt"'
        ' viewBox="0 0 72 36"><metadata>x</metadata><defs><style>*{}</style>'
        '<path id="g" d="M 0.123456 1\nL 2 3.000001"/>'
        f'</defs><g id="axes_1"><g id="{strategy_tag("a")}.1"><use xlink:href="#g" clip-path="url(#g)"/></g></g></svg>'
    )
    actual = inline_svg(RenderedFigure("name", "Title", "Words & more", {"svg": svg.encode()}))
    assert actual.width == 96
    assert actual.tags == {strategy_tag("a")}
    assert actual.svg == (
        '<svg viewBox="0 0 72 36" role="img" aria-labelledby="name-title" aria-describedby="name-desc">'
        '<title id="name-title">Title</title><desc id="name-desc">Words &amp; more</desc>'
        '<defs><path id="name-g" d="M 0.12 1 L 2 3" /></defs>'
        f'<g><g class="{strategy_tag("a")}"><use href="#name-g" clip-path="url(#name-g)" /></g></g></svg>'
    )


def test_coordinates_of_a_figure_are_rounded_and_scale_factors_are_not() -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt" viewBox="0 0 72 36">'
        '<g transform="translate(1.23456 2) scale(0.015625)"/><text transform="rotate(-0 1.234 5)">a b</text></svg>'
    )
    actual = inline_svg(RenderedFigure("name", "Title", "Words", {"svg": svg.encode()})).svg
    assert '<g transform="translate(1.23 2) scale(0.015625)" />' in actual
    assert "<text>a b</text>" in actual


def test_rows_are_grouped_under_their_common_values(full: Results) -> None:
    table = headline_table(combine_results([full]))
    groups = group_rows(table, 0, 2)
    assert len(groups) == 2
    assert groups[0].heading.endswith("target 95 %")
    assert [row[0] for group in groups for row in group.rows] == [row[1] for row in table.rows]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [("4,000 steps", ["4,000", "steps"]), ("10.5 MB in all", ["10.5 MB", "in", "all"]), ("to 98 %", ["to", "98 %"])],
)
def test_numbers_are_not_broken_across_lines(text: str, pieces: list[str]) -> None:
    assert [piece.replace("\u00a0", " ") for piece in non_breaking(text).split(" ")] == pieces


@pytest.mark.usefixtures("few_figures")
def test_each_conclusion_names_its_suite(full: Results, hand_made: Results, tmp_path: Path) -> None:
    build_report([full, hand_made], tmp_path)
    names = [full.lock.suite, hand_made.lock.suite]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    output = page[page.index('id="conclusion-title"') : page.index('id="caveats"')]
    assert re.findall(r"<h3><bdi>(.*?)</bdi></h3>", output) == names
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert [line.removesuffix(":") for line in summary.splitlines() if line.removesuffix(":") in names] == names


def test_the_conclusion_of_a_single_suite_does_not_name_it(report_folder: Path) -> None:
    page = (report_folder / "index.html").read_text(encoding="utf-8")
    assert "<h3>" not in page[page.index('id="conclusion-title"') : page.index('id="headline"')]
