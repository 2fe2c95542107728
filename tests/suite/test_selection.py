"""Bases, overrides, seeds and the choice of cells."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fdabench.errors import SuiteError, UsageError
from fdabench.suite.reader import LoadedSuite, read_suite
from fdabench.suite.selection import parse_expression, parse_seeds, select

Read = Callable[..., LoadedSuite]
Table = dict[str, Any]


def written(path: Path, suite: Table) -> Path:
    path.write_text(tomli_w.dumps(suite), encoding="utf-8")
    return path


def test_a_suite_overrides_its_base_key_by_key(good: Table, tmp_path: Path) -> None:
    written(tmp_path / "base.toml", good)
    over = {"extends": "base.toml", "name": "over", "budget": {"steps": 7}, "eval": {"consecutive": 3}, "seeds": [5]}
    suite = read_suite(written(tmp_path / "over.toml", over)).suite
    assert (suite.name, suite.budget.steps, suite.seeds) == ("over", 7, [5])
    assert (suite.eval.consecutive, suite.eval.every_steps, suite.eval.targets) == (3, 10, [0.5])


def test_a_budget_in_steps_replaces_one_in_epochs(good: Table, tmp_path: Path) -> None:
    over = {"budget": {"epochs": 2.5}, "eval": {"every_epochs": 0.5, "targets": [0.5]}}
    base = written(tmp_path / "base.toml", good | over)
    laid = written(tmp_path / "over.toml", {"extends": "base.toml", "budget": {"steps": 7}, "eval": {"every_steps": 3}})
    for suite in (
        read_suite(laid).suite,
        read_suite(base, ["budget.steps=7", "eval.every_steps=3"]).suite,
    ):
        assert (suite.budget.steps, suite.budget.epochs) == (7, None)
        assert (suite.eval.every_steps, suite.eval.every_epochs, suite.eval.targets) == (3, None, [0.5])


def test_tables_in_lists_replace_those_of_the_base(good: Table, tmp_path: Path) -> None:
    written(tmp_path / "base.toml", good)
    over = {"extends": "base.toml", "strategy": [{"kind": "fedavg", "local_steps": 3}]}
    assert [cell.label for cell in read_suite(written(tmp_path / "over.toml", over)).cells] == ["FedAvg"]


def test_a_base_is_found_relative_to_the_file_that_extends_it(
    good: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    written(tmp_path / "first.toml", good)
    written(tmp_path / "deep" / "second.toml", {"extends": "../first.toml", "name": "second"})
    third = written(tmp_path / "third.toml", {"extends": "deep/second.toml", "description": "third"})
    monkeypatch.chdir("/")
    suite = read_suite(third)
    assert (suite.suite.name, suite.suite.description) == ("second", "third")
    assert [cell.id for cell in suite.cells] == [cell.id for cell in read_suite(tmp_path / "first.toml").cells]


def test_a_missing_base_is_named(good: Table, tmp_path: Path) -> None:
    path = written(tmp_path / "over.toml", good | {"extends": "nowhere.toml"})
    with pytest.raises(
        SuiteError, match=r"over\.toml: 1 fault\n.*over\.toml:10: extends: .*nowhere\.toml: no such file$"
    ):
        read_suite(path)


def test_a_cycle_of_bases_is_refused(good: Table, tmp_path: Path) -> None:
    written(tmp_path / "a.toml", good | {"extends": "b.toml"})
    written(tmp_path / "b.toml", {"extends": "a.toml"})
    with pytest.raises(SuiteError, match="extends: comes back to itself"):
        read_suite(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("budget.steps=7", lambda s: {c.config.budget.steps for c in s.cells} == {7}),
        ("budget={epochs = 2}", lambda s: {c.config.budget.epochs for c in s.cells} == {2.0}),
        ("seeds=[3, 4]", lambda s: {c.config.seed for c in s.cells} == {3, 4}),
        ("seeds.0=9", lambda s: s.suite.seeds == [9]),
        ("workload.workers=[2, 5]", lambda s: {c.config.workers for c in s.cells} == {2, 5}),
        (
            "strategy.2.theta=[0.5, 3]",
            lambda s: {c.config.strategy.parameters.get("theta") for c in s.cells} == {None, 0.5, 3},
        ),
        ("strategy.2.monitor=naive", lambda s: s.cells[2].label == "NaiveFDA"),
        ("accounting.convention=ring", lambda s: s.suite.accounting.convention == "ring"),
        (" name =other", lambda s: s.suite.name == "other"),
        ("name = other", lambda s: s.suite.name == "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_override_sets_the_key_that_it_names(
    good: Table, read: Read, override: str, changed: Callable[[LoadedSuite], bool]
) -> None:
    assert not changed(read(good))
    suite = read(good, override)
    assert changed(suite)
    assert suite.to_lock().overrides == [override]


def test_later_overrides_have_precedence(good: Table, read: Read) -> None:
    assert read(good, "budget.steps=7", "budget.steps=8").suite.budget.steps == 8


@pytest.mark.parametrize("override", ["budget.steps", "", "=3", "budget.steps:3"])
def test_an_override_without_key_or_value_is_refused(good: Table, read: Read, override: str) -> None:
    with pytest.raises(UsageError, match=r"expected KEY=VALUE, as in --set budget\.steps=100"):
        read(good, override)


@pytest.mark.parametrize("override", ["name.first=x", "seeds.x=1"])
def test_an_override_of_an_unknown_path_is_refused(good: Table, read: Read, override: str) -> None:
    with pytest.raises(UsageError, match=rf"--set {override}: there is no '"):
        read(good, override)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["strategy.9.theta=1"], "there is no strategy.9; the last one is strategy.2"),
        (["seeds=[4, 5]", "seeds.3=1"], "there is no seeds.3; the last one is seeds.1"),
        (["seeds=[]", "seeds.0=1"], "there is no seeds.0; the list is empty"),
    ],
)
def test_an_override_beyond_the_end_of_a_list_is_refused_with_its_last_entry(
    good: Table, read: Read, overrides: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(good, *overrides)
    assert str(caught.value) == f"--set {overrides[-1]}: {message}"


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("theta=2", "strategy.2.theta=2"),
        ("strategy.fda.theta=2", "strategy.2.theta=2"),
        ("workers=3", "workload.workers=3"),
    ],
)
def test_an_override_without_the_number_of_its_entry_is_refused_with_the_key_to_write(
    good: Table, read: Read, override: str, meant: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(good, override)
    assert str(caught.value) == f"--set {override}: there is no key {override.partition('=')[0]!r}; write {meant}"


def test_an_unknown_key_within_a_new_table_is_reported_as_the_override(good: Table, read: Read) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, "strategy.mine.theta=2")
    assert {fault.split(" ")[0] for fault in caught.value.faults} == {"--set"}


def test_an_index_in_brackets_is_refused_with_the_key_to_write(good: Table, read: Read) -> None:
    """There is one notation, and it needs no quotes in a shell."""
    with pytest.raises(UsageError, match=r"there is no key '\[2\]'; write strategy\.2\.theta=3"):
        read(good, "strategy[2].theta=3")


def test_errors_in_overrides_are_reported_like_those_of_the_file(good: Table, read: Read) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, "budget.stepps=3", "strategy.2.theta=-1", "workload.0.workers=many")
    assert sorted(caught.value.faults) == [
        '--set budget.stepps: unknown key; allowed: steps, epochs; did you mean "steps"?',
        "--set strategy.2.theta: -1 is out of range: it must be at least 0",
        '--set workload.0.workers: expected a whole number, found "many"',
    ]


@pytest.mark.parametrize(
    ("text", "seeds"), [("0..4", [0, 1, 2, 3, 4]), ("3..3", [3]), ("7", [7]), ("0,2,7", [0, 2, 7]), ("5,1", [5, 1])]
)
def test_seeds_are_a_range_or_a_list(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["4..0", "", "a", "1,", ",1", "-1", "0..", "0...3", "0..99999", "1 2"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a range"):
        parse_seeds(text)


ALL = {"Synchronous", "FedAvg", "SketchFDA"}


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("fda", {"SketchFDA"}),
        ("SYNCHRONOUS", {"Synchronous"}),
        ("not fda", ALL - {"SketchFDA"}),
        ("fda or fedavg", ALL - {"Synchronous"}),
        ("s0 and fed", {"FedAvg"}),
        ("not fda and not fedavg", {"Synchronous"}),
        ("not (fda or fedavg)", {"Synchronous"}),
        ("fedavg or fda and nothing", {"FedAvg"}),
        ("(fedavg or fda) and sketch", {"SketchFDA"}),
        ("not not fda", {"SketchFDA"}),
        ("((fda))", {"SketchFDA"}),
        ("dirichlet and K=4", ALL),
    ],
)
def test_an_expression_chooses_cells(good: Table, read: Read, expression: str, labels: set[str]) -> None:
    assert {cell.label for cell in select(read(good).cells, expression)} == labels


@pytest.mark.parametrize(
    ("expression", "alphas"),
    [
        ("dirichlet(0.1)", {0.1}),
        ("dirichlet(0.1, per-worker) or dirichlet(1)", {0.1, 1.0}),
        ("not(dirichlet(1))", {0.1}),
        ("(dirichlet(1))and(fda)", {1.0}),
    ],
)
def test_the_name_of_a_partition_is_one_word(good: Table, read: Read, expression: str, alphas: set[float]) -> None:
    good["workload"][0]["partition"] = [
        {"kind": "dirichlet", "alpha": [0.1, 1.0]},
        {"kind": "dirichlet", "alpha": 0.1, "shares": "per-worker"},
    ]
    assert {cell.config.partition.parameters["alpha"] for cell in select(read(good).cells, expression)} == alphas


def test_a_word_matches_whole_words_where_a_cell_has_it(good: Table, read: Read) -> None:
    good["seeds"] = list(range(12))
    cells = read(good).cells
    assert {cell.config.seed for cell in parse_expression(cells, "s1")} == {1}
    assert {cell.config.seed for cell in parse_expression(cells, "s1 or s11")} == {1, 10, 11}
    assert parse_expression(cells, "s1 nobody") == []
    assert {cell.label for cell in parse_expression(cells, "FDA")} == {
        cell.label for cell in cells if "FDA" in cell.label
    }


def test_a_cell_is_chosen_by_its_id(good: Table, read: Read) -> None:
    cells = read(good).cells
    assert select(cells, cells[1].id[:8]) == [cells[1]]


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("", "a word is missing at the end"),
        ("fda and", "a word is missing at the end"),
        ("or fda", "a word is missing before 'or'"),
        ("fda and or s0", "a word is missing before 'or'"),
        ("(fda", "a closing parenthesis is missing"),
        ("fda)", r"cannot be read at '\)'"),
        ("()", r"a word is missing before '\)'"),
        ("fda fedavg", "cannot be read at 'fedavg'"),
        ("not", "a word is missing at the end"),
    ],
)
def test_an_expression_that_cannot_be_parsed_is_reported_with_the_position(
    good: Table, read: Read, expression: str, fault: str
) -> None:
    with pytest.raises(UsageError, match=fault):
        select(read(good).cells, expression)


def test_an_expression_that_selects_nothing_is_refused_with_the_nearest_word(good: Table, read: Read) -> None:
    with pytest.raises(UsageError, match='chooses none of 3 cells; did you mean "Synchronous"'):
        select(read(good).cells, "Sinchronous")


@pytest.mark.parametrize("nested", ["(" * 5000 + "fda" + ")" * 5000, "not " * 5000 + "fda"])
def test_an_expression_of_any_depth_is_evaluated_or_refused(good: Table, read: Read, nested: str) -> None:
    with suppress(UsageError):
        assert {cell.label for cell in select(read(good).cells, nested)} <= ALL
