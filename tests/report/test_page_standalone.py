"""`index.html` as a single file: its first screen states suite, date and machine, and links work alone."""

import base64
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from fdabench.analysis.data import combine_results
from fdabench.report.build import build_report
from fdabench.report.figures.pareto import PARETO
from fdabench.report.page.page import heading_columns
from fdabench.report.provenance import provenance
from fdabench.report.tables.build import cells_table, headline_table
from fdabench.results.load import Results
from support.html_page import Page


def test_every_link_works_in_a_page_without_its_folder(report_folder: Path, tmp_path: Path) -> None:
    """`index.html` by itself in an empty folder: it contains the targets of its links."""
    alone = tmp_path / "index.html"
    alone.write_bytes((report_folder / "index.html").read_bytes())
    page, text = Page(alone.read_text(encoding="utf-8")), alone.read_text(encoding="utf-8")
    links = [*page.all("href"), *page.all("src")]
    names = set(page.all("id"))
    assert len([link for link in links if link.startswith("data:")]) > 30
    broken = [link for link in links if not (link.startswith("data:") or (link[:1] == "#" and link[1:] in names))]
    assert broken == []
    assert not re.search(r"(?:src|href|action|url)\s*[=(]\s*[\"']?\s*(?:https?:)?//", text)
    assert "@import" not in text


def test_an_embedded_file_equals_the_file(report_folder: Path, page: Page) -> None:
    stored = [(attrs["download"], attrs["href"]) for _, attrs in page.elements if attrs.get("download")]
    assert {str(name).rpartition(".")[2] for name, _ in stored} == {"csv", "md", "tex", "pdf"}
    for name, link in stored:
        content = base64.b64decode(str(link).partition("base64,")[2])
        assert content == (report_folder / str(name).replace("-", "/", 1)).read_bytes(), name


def test_a_large_file_is_named_and_written_beside_the_page(
    full: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fdabench.report.build.PLOTS", (PARETO,))
    monkeypatch.setattr("fdabench.report.build.LARGEST_EMBEDDED", 5000)
    build_report([full], tmp_path)
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert (tmp_path / "tables" / "cells.csv").stat().st_size > 5000
    assert "in the folder of this page: tables/cells.csv" in " ".join(page.text.split())
    assert "tables-cells.csv" not in page.all("download")
    assert "tables-conclusion.csv" in page.all("download")


def test_every_file_of_the_report_is_linked_or_embedded(report_folder: Path, page: Page) -> None:
    files = {path.relative_to(report_folder).as_posix() for path in report_folder.rglob("*") if path.is_file()} - {
        "index.html"
    }
    stored = {name.replace("-", "/", 1) for name in page.all("download")}
    assert [name for name in sorted(files - stored) if name not in page.text] == []


def test_date_revision_and_machine_are_at_the_top_and_come_from_the_records(full: Results) -> None:
    data = combine_results([full])
    cells = list(data.records)
    moments = {cells[0]: "2026-01-30T23:59:59+00:00", cells[1]: "2026-02-01T00:00:00+00:00"}
    environment = {
        "fdabench": "0.1.0",
        "git": "abc1234",
        "torch": "2.9.0",
        "device": "Some CPU",
        "platform": "Linux x86_64",
    }
    changed = {
        cell: data.records[cell].with_changes({"state": "done", "environment": environment, "ended": moment})
        for cell, moment in moments.items()
    }
    actual = provenance(replace(data, records=changed))
    assert actual == [
        "2026-01-30 to 2026-02-01",
        "fdabench 0.1.0 (git abc1234)",
        "torch 2.9.0",
        "Some CPU",
        "Linux x86_64",
    ]


def test_a_date_or_machine_missing_from_records_is_left_out(hand_made: Results, nothing: Results) -> None:
    assert provenance(combine_results([hand_made])) == []
    assert provenance(combine_results([nothing])) == []


def test_caveats_beyond_the_third_are_folded(report_folder: Path) -> None:
    text = (report_folder / "index.html").read_text(encoding="utf-8")
    caveats = text[text.index('<aside class="caveats"') : text.index("</aside>")]
    open_part, folded = caveats.split("<details>")
    assert open_part.count("<li") == 3
    assert f"{folded.count('<li')} more" in folded


def test_every_table_has_a_caption_and_headings_with_a_scope(page: Page) -> None:
    tags = Counter(tag for tag, _ in page.elements)
    assert tags["table"] == tags["caption"] > 8
    assert all(attrs.get("scope") for tag, attrs in page.elements if tag == "th")


def test_common_values_of_rows_are_written_above_them(full: Results) -> None:
    data = combine_results([full])
    assert heading_columns(headline_table(data)) == (0, 2)
    assert heading_columns(cells_table(data)) == ()
