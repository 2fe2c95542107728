"""`fdabench.load`: the tables, the figures and the ratios of a results folder are those of its report."""

import json
import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fdabench
from fdabench.analysis.data import combine_results
from fdabench.errors import ResultError, UsageError
from fdabench.notebook import ResultsView, load
from fdabench.report.figures import PLOTS
from fdabench.report.page.render import render
from fdabench.report.ratios import format_times
from fdabench.report.summary import conclude
from fdabench.report.tables.conclusion import conclusion_table
from fdabench.results.load import write_derived
from support.digits_results import FULL, SIX, Suite, write, write_by_hand

ROOT = Path(__file__).parents[1]
RESULTS_PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
RECIPES = RESULTS_PAGE.split("## Read it elsewhere")[1].split("\n## ")[0]
NOTEBOOK = ROOT / "examples" / "results.ipynb"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that contains `results/quickstart`: six strategies, two workloads, three seeds; misses, failures."""
    top = tmp_path_factory.mktemp("work")
    write_derived(write(top / "results" / "quickstart", replace(FULL, targets=(0.9,))))
    return top


@pytest.fixture(scope="module")
def view(folder: Path) -> ResultsView:
    return load(folder / "results" / "quickstart")


def test_fdabench_load_is_the_function_of_the_notebook_module() -> None:
    assert fdabench.load is load
    assert sorted(fdabench.__all__) == ["__version__", "load", "sync"]
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = fdabench.lode  # type: ignore[attr-defined]


def test_runs_and_targets_are_those_of_the_folder(view: ResultsView, folder: Path) -> None:
    for frame, name in ((view.runs, "runs"), (view.targets, "targets")):
        stored = pd.read_parquet(folder / "results" / "quickstart" / f"{name}.parquet")
        pd.testing.assert_frame_equal(frame.reset_index(drop=True), stored, check_dtype=False)


def test_the_tables_of_all_cells_are_those_of_each_cell(view: ResultsView, folder: Path) -> None:
    done = [cell for cell in view.cells if view.cell(cell.id).record and len(view.cell(cell.id).evals)]
    assert sum(len(view.cell(cell.id).evals) for cell in done) == len(view.evals) > 100
    for name in ("evals", "ledger", "rounds"):
        stored = pd.read_parquet(folder / "results" / "quickstart" / "cells" / done[0].id / f"{name}.parquet")
        actual = getattr(view.cell(done[0].id), name)
        pd.testing.assert_frame_equal(actual[stored.columns], stored, check_dtype=False)


def test_a_cell_is_found_by_its_words_its_id_and_the_start_of_its_id(view: ResultsView) -> None:
    actual = view.cell("LinearFDA iid s0")
    assert "LinearFDA" in actual.cell.title
    assert actual.cell.config.seed == 0
    assert actual.run["cell_id"] == actual.cell.id
    assert view.cell(actual.cell.id).cell == view.cell(actual.cell.id[:6]).cell == actual.cell
    assert actual.cell.id in repr(actual)


def test_a_cell_that_was_not_started_has_empty_tables(view: ResultsView) -> None:
    pending = view.cell("SketchFDA iid s0")
    assert pending.record is None
    assert pending.run["state"] == "pending"
    assert [len(frame) for frame in (pending.targets, pending.evals, pending.ledger, pending.rounds)] == [0] * 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("LinearFDB iid s0", "no cell matches 'LinearFDB iid s0'; did you mean \"LinearFDA\"?"),
        ("LinearFDA", "6 cells match 'LinearFDA'; give more words, or an id:"),
    ],
)
def test_words_that_match_no_cell_or_several_are_refused(view: ResultsView, words: str, message: str) -> None:
    with pytest.raises(ResultError, match=re.escape(message)):
        view.cell(words)


@pytest.mark.parametrize("name", ["pareto", "accuracy-bytes", "heterogeneity"])
def test_a_figure_is_that_of_the_report(view: ResultsView, name: str) -> None:
    (spec,) = [spec for spec in PLOTS if spec.name == name]
    rendered, figure = render(spec, combine_results([view.results])), view.plot(name)
    assert rendered is not None
    words = set(re.findall(r"\w+", unescape(re.sub(r"<[^>]*>", " ", rendered.files["svg"].decode()))))
    labels = " ".join(text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()))
    assert len(re.findall(r"\b[a-z]{4,}\b", labels)) >= 3
    assert set(re.findall(r"\b[a-z]{4,}\b", labels)) <= words


def test_a_figure_without_content_is_refused_with_the_reason_of_the_report(view: ResultsView) -> None:
    assert view.plots == [spec.name for spec in PLOTS]
    with pytest.raises(ResultError, match="quickstart: scaling is not drawn: "):
        view.plot("scaling")


def test_a_figure_can_be_saved(view: ResultsView, tmp_path: Path) -> None:
    view.plot("accuracy-bytes").savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_figure_is_refused_with_the_nearest_name(view: ResultsView) -> None:
    with pytest.raises(
        UsageError, match=r"'acuracy-bytes' is no figure; allowed: pareto, .*did you mean \"accuracy-bytes\""
    ):
        view.plot("acuracy-bytes")


def test_the_ratios_are_those_of_the_conclusion(view: ResultsView) -> None:
    (suite,) = combine_results([view.results]).locks
    best, *others = conclude(combine_results([view.results]), suite).comparisons
    assert len(others) == 5
    for label, _, _, words, *_ in others:
        assert (format_times(view.ratio(label)) or "not comparable") == words
        assert view.ratio(label) == view.ratio(label, to=best[0])
    frame = conclusion_table(combine_results([view.results])).frame.set_index("strategy")
    steps = view.ratio("FedAvg τ=50", to="Synchronous", cost="steps")
    assert steps.mean == frame.loc["FedAvg τ=50", "steps_over_reference"]


def test_a_ratio_the_other_way_round_is_the_inverse(view: ResultsView) -> None:
    up, down = view.ratio("FedAvg τ=50", to="Synchronous"), view.ratio("Synchronous", to="FedAvg τ=50")
    assert (up.mean, up.low, up.high) == pytest.approx((1 / down.mean, 1 / down.high, 1 / down.low))


def test_a_ratio_by_hand(tmp_path: Path) -> None:
    write_by_hand(tmp_path / "hand")
    top, bottom = [(1 + 3) * 160, (1 + 5) * 160], [4 * 16 + 2 * 160, 8 * 16 + 2 * 160]
    expected = math.prod(a / b for a, b in zip(top, bottom, strict=True)) ** 0.5
    assert load(tmp_path / "hand").ratio("Synchronous", to="LinearFDA θ=1").mean == pytest.approx(expected)


def test_unknown_strategies_and_costs_are_refused_with_the_nearest_name(view: ResultsView) -> None:
    with pytest.raises(UsageError, match=r"'Synchronos' is no strategy of .*did you mean .Synchronous"):
        view.ratio("Synchronos")
    with pytest.raises(UsageError, match="cost='byte' is unknown; allowed: bytes, steps; did you mean \"bytes\""):
        view.ratio("Synchronous", cost="byte")  # type: ignore[arg-type]


def test_without_a_target_reached_no_costs_are_compared(tmp_path: Path) -> None:
    write(tmp_path / "missed", Suite(SIX, targets=(0.9999,), steps=60))
    with pytest.raises(ResultError, match="no strategy reached a target"):
        load(tmp_path / "missed").ratio("Synchronous")


def test_a_notebook_shows_the_conclusion_and_the_costs_escaped(tmp_path: Path) -> None:
    write(tmp_path / "rude", Suite([SIX[0], *[type(SIX[4])("<b>&x", SIX[4].table, state=2, slowness=70)]]))
    shown, page = load(tmp_path / "rude"), load(tmp_path / "rude")._repr_html_()
    assert repr(shown).splitlines()[0].startswith("90 %: ") or "needed" in repr(shown)
    assert "&lt;b&gt;&amp;x" in page
    assert "<b>&x" not in page
    assert page.count("<tr") == 1 + 2


def run_recipe(language: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Run the block of the page that begins with the import of a library, within `folder`."""
    blocks = re.findall(r"^```python\n(.*?)^```$", RECIPES, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(f"import {language}")]
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(block, names)
    return names


def test_the_pandas_recipe_gives_the_bytes_and_the_ratio_of_the_conclusion(
    view: ResultsView, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = run_recipe("numpy", folder, monkeypatch)
    costs, ratios = names["costs"], names["ratios"]
    assert isinstance(costs, pd.Series)
    assert isinstance(ratios, pd.Series)
    frame = conclusion_table(combine_results([view.results])).frame.set_index("strategy")
    reference = frame["bytes"].dropna()
    assert len(reference) >= 4
    assert costs[reference.index].to_numpy() == pytest.approx(reference.to_numpy())
    both = view.ratio("Synchronous", to="FedAvg τ=50")
    assert both.bound == ""
    assert ratios["FedAvg τ=50"] == pytest.approx(both.mean)


def test_the_headline_numbers_of_the_readme_follow_from_its_table_of_cells() -> None:
    """The costs of each cell are in the report that is committed; pandas and numpy do the rest."""
    cells = pd.read_csv(ROOT / "reports" / "quickstart" / "tables" / "cells.csv")
    reached = cells[cells["reached_at_0.9"]]
    logs = np.log(reached.set_index(["workload", "seed", "label"])["bytes_total_at_0.9"])
    megabytes = np.exp(logs.groupby("label").mean()) / 1e6
    ratio = np.exp((logs.xs("DDP", level="label") - logs.xs("LinearFDA", level="label")).mean())
    line = next(
        line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("90 %:")
    )
    output = dict(re.findall(r"(\w+) (?:needed )?([\d.]+) MB", line))
    assert {label: f"{megabytes[label]:.3g}" for label in output} == {
        label: f"{float(mb):g}" for label, mb in output.items()
    }
    assert len(output) == 3
    assert f"{ratio:.2g} times as many" in line


def test_the_duckdb_recipe_reads_all_cells(folder: Path, view: ResultsView, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    names = run_recipe("duckdb", folder, monkeypatch)
    best, sent = names["best"], names["sent"]
    assert isinstance(best, pd.DataFrame)
    assert isinstance(sent, pd.DataFrame)
    expected = view.evals.merge(view.runs, on="cell_id").groupby("label")["test_accuracy"].max()
    assert best.set_index("label")["best"].sort_index().to_dict() == expected.to_dict()
    assert sent.set_index("cell_id")["collectives"].to_dict() == view.ledger.groupby("cell_id")["count"].sum().to_dict()


def test_the_polars_recipe_reads_all_cells(folder: Path, view: ResultsView, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("polars")
    best = run_recipe("polars", folder, monkeypatch)["best"]
    expected = view.evals.groupby("cell_id")["test_accuracy"].max()
    assert dict(best.iter_rows()) == expected.to_dict()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_example_notebook_runs_and_is_stored_without_outputs(folder: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= kinds


def test_the_cells_of_the_example_notebook_run_in_plain_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for block in code:
        exec("\n".join(line for line in block.splitlines() if not line.startswith("%")), names)
    assert isinstance(names["results"], ResultsView)
