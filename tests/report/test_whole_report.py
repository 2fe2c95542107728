"""The whole report: correct numbers, reproducible bytes, and no path of a machine."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fdabench.analysis.data import combine_results
from fdabench.report.build import build_report
from fdabench.report.caveats import find_caveats
from fdabench.report.page.markup import jinja_environment, table_files, tex
from fdabench.report.tables.build import cells_table, headline_table, targets_table
from fdabench.report.tables.roles import role_tables
from fdabench.results.load import Results
from support.digits_results import DIRICHLET, Suite, fda, periodic, synchronous, write

Built = tuple[Path, list[Path]]


@pytest.fixture(scope="module")
def built(full_report: Any) -> Built:
    return full_report.folder, full_report.files


@pytest.mark.slow
def test_two_reports_on_the_same_results_are_equal(
    built: Built, full: Results, tmp_path: Path, citations: list[str]
) -> None:
    out, written = built
    again = build_report([full], tmp_path, citations)
    assert [path.relative_to(out) for path in written] == [path.relative_to(tmp_path) for path in again]
    for first, second in zip(written, again, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


def test_every_file_is_named_and_exists(built: Built) -> None:
    out, written = built
    assert sorted(written) == sorted(path for path in out.rglob("*") if path.is_file())
    assert {path.suffix for path in written} == {".html", ".md", ".json", ".csv", ".tex", ".svg", ".pdf", ".png"}


def test_a_run_that_diverged_to_infinity_is_reported(hand_made: Results, tmp_path: Path) -> None:
    """Every strategy of the one workload: weights beyond floating point, as after a step far too long."""
    gone = {"variance": float("inf"), "estimate": float("inf"), "test_loss": float("nan")}
    evals = hand_made.evals.assign(**gone)
    rounds = hand_made.rounds.assign(variance=float("nan"), estimate=float("inf"))
    written = build_report([replace(hand_made, evals=evals, rounds=rounds)], tmp_path)
    assert tmp_path / "figures" / "sync-timeline.svg" in written


def test_a_workload_that_stays_below_the_headline_target_is_shown_at_its_own(full: Results) -> None:
    hard = combine_results([full]).workloads[-1][1]
    of_hard = combine_results([full]).runs.query("workload == @hard")["cell_id"].str.split(":").str[-1]
    low, *_, high = full.lock.targets
    is_hard, target = full.hits["cell_id"].isin(of_hard), full.hits["target"]
    hits = full.hits.assign(reached=~is_hard & (target <= high) | is_hard & (target == low))
    data = combine_results([replace(full, hits=hits, lock=full.lock.with_changes({"headline": high}))])
    assert set(data.at_suite_target["target"]) == {high}
    assert data.target_note("full", hard) == "to 90 %: no strategy reached 99.9 %"
    shown = data.at_workload_target.groupby("workload")["target"].unique().map(list)
    assert shown.drop(hard).map(lambda targets: targets == [high]).all()
    assert shown[hard] == [low]


def test_figures_are_well_formed(built: Built) -> None:
    for path in built[1]:
        if path.suffix == ".svg":
            assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")


def test_a_report_contains_no_path_of_this_machine(built: Built) -> None:
    for path in built[1]:
        if path.suffix in (".html", ".md", ".json", ".csv", ".tex", ".svg"):
            assert "/home/" not in path.read_text()
            assert str(built[0]) not in path.read_text()


def test_the_summary_shows_the_written_figures(built: Built) -> None:
    out, _ = built
    page = (out / "summary.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 15
    assert all((out / link).is_file() for link in links)
    assert "fdabench run pretended.toml --set budget.steps=400" in page


def test_the_summary_json_counts_states_and_headline_rows(built: Built) -> None:
    summary = json.loads((built[0] / "summary.json").read_text())
    assert summary["headline_targets"] == {"full": 0.95}
    assert len(summary["headline"]) == 12
    assert summary["states"] == {"done": 30, "diverged": 2, "failed": 2, "pending": 2}
    assert len(summary["figures"]) == 10


def test_the_headline_table_by_hand(hand_made: Results) -> None:
    table = headline_table(combine_results([hand_made]))
    base, linear = table.frame.to_dict("records")
    assert (base["reached"], base["cells"]) == (2, 2)
    assert base["bytes"] == pytest.approx(math.sqrt(640 * 960))
    assert base["rounds"] == pytest.approx(math.sqrt(4 * 6))
    assert base["reference"]
    assert linear["bytes"] == pytest.approx(math.sqrt(384 * 448))
    assert linear["bytes_state"] == pytest.approx((64 + 128) / 2)
    # local states are sent and not received; models cross in both directions
    assert linear["bytes_up"] == pytest.approx(math.sqrt((160 + 64) * (160 + 128)))
    assert linear["bytes_down"] == pytest.approx(160)
    assert base["bytes_up"] == base["bytes_down"] == pytest.approx(math.sqrt(320 * 480))
    assert linear["steps"] == pytest.approx(math.sqrt(4 * 8))
    assert linear["rounds"] == pytest.approx(2)
    assert linear["final_accuracy"] == pytest.approx(0.91)
    assert linear["bytes_ratio"] == pytest.approx(math.sqrt(640 / 384 * 960 / 448))
    # half way to the evaluations before, at 320 and 640 bytes for Synchronous, 192 and 416 for the other
    logs = [math.log(320 * 640 / (192 * 384)) / 2, math.log(640 * 960 / (416 * 448)) / 2]
    middle, half = sum(logs) / 2, 12.7062047 * abs(logs[0] - logs[1]) / 2
    assert linear["bytes_ratio_low"] == pytest.approx(math.exp(middle - half))
    assert linear["bytes_ratio_high"] == pytest.approx(math.exp(middle + half))


@pytest.mark.parametrize("convention", ["paper", "star"])
def test_each_direction_has_a_column_where_the_two_differ(results_of: Callable[..., Results], convention: str) -> None:
    """Local states are only sent under `paper`, and come back under `star`."""
    apart = convention == "paper"
    data = combine_results([results_of(convention=convention)])
    expected = ["ranking bytes (paper)", "sent", "received"] if apart else ["bytes (star)"]
    for table, before in ((headline_table, "reached"), (targets_table, "reached"), (cells_table, "syncs")):
        built = table(data)
        at = built.titles.index(before) + 1
        assert list(built.titles[at : at + len(expected)]) == expected
        assert ("received" in built.titles) == apart
    costs = headline_table(data)
    reference = costs.frame.dropna(subset="bytes")
    assert (reference["bytes_up"] == reference["bytes_down"]).all() != apart
    assert ("need not add up" in costs.note) == apart


def test_misses_are_visible_in_the_table(built: Built) -> None:
    rows = (built[0] / "tables" / "headline.md").read_text().splitlines()
    assert all("| 0/3 | – | – | – |" in row and "at most" in row for row in rows if "FedAdam" in row)
    assert any("2/2 (+ 1 failed)" in row for row in rows)
    assert any("2/2 (+ 1 not run)" in row for row in rows)


def test_cells_table_has_every_cell(built: Built) -> None:
    cells = pd.read_csv(built[0] / "tables" / "cells.csv")
    assert len(cells) == 36
    assert {"reached_at_0.95", "bytes_total_at_0.95", "theta", "alpha"} <= set(cells.columns)


def test_caveats_are_found(full: Results) -> None:
    text = "\n".join(find_caveats(combine_results([full])))
    for words in (
        "have no result yet",
        "Failed, and left out: LinearFDA θ=1",
        "ValueError: digits.csv is empty",
        "2 cells diverged",
        "Few seeds",
        "No strategy reached 99.9 % on digits mlp",
        "Unequal hit rates at the headline target: Synchronous, FedAvg τ=50 (6 of 6 runs); LinearFDA θ=1, "
        "SketchFDA θ=1 (4 of 4 runs); NaiveFDA θ=1 (4 of 6 runs); FedAdam τ=50 (0 of 6 runs).",
        "Local optimizers differ",
        "cells differ in torch (2.10.0, 2.9.0)",
        "does not state how values were chosen",
    ):
        assert words in text, words


def test_a_state_larger_than_the_model_is_a_caveat(hand_made: Results) -> None:
    assert any(
        "one local state is 20.0 % of one model" in caveat for caveat in find_caveats(combine_results([hand_made]))
    )


@pytest.mark.slow
def test_the_page_of_a_hundred_cells_is_smaller_than_three_megabytes(tmp_path: Path) -> None:
    strategies = [synchronous(), *(fda("linear", theta) for theta in (0.1, 0.3, 1.0, 3.0))]
    strategies += [periodic(f"FedAvg τ={steps}", "fedavg", steps) for steps in (10, 20, 40, 60, 80)]
    suite = Suite(strategies, partitions=({"kind": "iid"}, DIRICHLET), seeds=range(5))
    build_report([write(tmp_path / "results", suite)], tmp_path / "report")
    assert (tmp_path / "report" / "index.html").stat().st_size < 3e6


def test_a_report_is_written_without_any_result(nothing: Results, tmp_path: Path) -> None:
    written = build_report([nothing], tmp_path)
    assert not [path for path in written if path.parent.name == "figures"]
    assert "No cell has a result yet." in (tmp_path / "summary.md").read_text()


def test_two_results_folders_are_combined_in_one_report(hand_made: Results, full: Results) -> None:
    data = combine_results([hand_made, full, hand_made])
    assert list(data.locks) == ["hand", "full", "hand #2"]
    assert data.runs["cell_id"].is_unique
    assert len(data.evals) == len(full.evals) + 2 * len(hand_made.evals)
    assert set(headline_table(data).frame["target"]) == {0.9, 0.95}


def test_other_conventions_reach_the_curves(results_of: Callable[..., Results]) -> None:
    data = combine_results([results_of(convention="upload", seeds=(0,))])
    row = data.evals[data.evals["label"] == "FedAvg τ=50"].iloc[-1]
    assert row["bytes_total"] == 4 * 4 * 50_890 * 7


def test_special_characters_are_escaped_in_tex(hand_made: Results) -> None:
    assert tex("a_b & 5 % of {x} ≥ θ~1\\") == (
        r"a\_b \& 5 \% of \{x\} $\geq$ $\theta$\textasciitilde{}1\textbackslash{}"
    )
    source = table_files(headline_table(combine_results([hand_made])), jinja_environment())["tex"].decode()
    body = source.split("\\midrule")[1]
    assert r"LinearFDA $\theta$=1 & 90 \%" in body
    assert not re.search(r"(?<!\\)[%_#]", body)
    assert body.isascii()
    assert source.count("{") == source.count("}")


def test_components_are_compared_in_pairs_that_differ_in_one_component(results_of: Callable[..., Results]) -> None:
    """With a codec, runs learn as before and need the same syncs, whose bytes the ledger of these results repeats."""
    plain, slow = periodic("FedAvg", "fedavg", 50), periodic("FedAvg int8", "fedavg", 50, slowness=90)
    packed = replace(slow, table={**slow.table, "codec": {"kind": "int8"}, "feedback": 1.0})
    other = replace(slow, label="FedAvg 25 int8", table={**packed.table, "local_steps": 25}, period=25)
    data = combine_results([results_of(strategies=(plain, packed, other), reference="FedAvg", targets=(0.9,))])
    (table,) = role_tables(data)
    rows = table.frame.query("role == 'codec'").set_index("value")
    cost = data.at_workload_target.set_index(["label", "seed"])["bytes_total"].astype(float)
    # the second strategy with a codec has no counterpart without one
    assert rows.loc["int8", ["cells", "pairs", "pairs_reached"]].tolist() == [6, 3, 3]
    expected = np.exp(np.log(cost["FedAvg"] / cost["FedAvg int8"]).mean())
    assert rows.loc["int8", "bytes_ratio"] == pytest.approx(expected)
    assert math.isnan(rows.loc["", "bytes_ratio"])


def test_without_different_components_there_is_no_table_of_them(results_of: Callable[..., Results]) -> None:
    data = combine_results([results_of(strategies=(periodic("FedAvg", "fedavg", 50),), reference="FedAvg")])
    assert role_tables(data) == []
