"""A truncated, merged or edited baseline fails the gate with the lines of its errors and without a traceback."""

import math
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fdabench.errors import NotComparedError
from fdabench.gate.baseline.model import ResultsSummary, Sync
from fdabench.gate.baseline.read import read_baseline
from fdabench.gate.baseline.write import dumps, new_baseline
from fdabench.gate.compare.check import check
from fdabench.gate.compare.settings import GateConfig
from support.gate_runs import make_run, make_snapshot

Refused = Callable[[str], str]
NONSENSE = (math.nan, -1, 1.5, True, "x", "", "a\nb", [], ["x"], {}, {"x": "y"}, [{}], 10**30)


@pytest.fixture
def two() -> ResultsSummary:
    return make_snapshot([make_run("a", seed, first_syncs=(Sync(4, 1.6), Sync(9, 1.7)), syncs=2) for seed in (0, 1)])


@pytest.fixture
def text(two: ResultsSummary) -> str:
    return dumps(new_baseline(two, "abc"))


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    def message_of(text: str) -> str:
        (tmp_path / "b.toml").write_text(text)
        with pytest.raises(NotComparedError) as raised:
            read_baseline(tmp_path / "b.toml")
        return str(raised.value).replace(f"{tmp_path}/", "")

    return message_of


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        (
            "bytes_total = 88000",
            "bytes_total = -5",
            "b.toml:22: runs.0.bytes_total: -5 is out of range: it must be at ",
        ),
        ("bytes_total = 88000", "bytes_total = '9'", 'runs.0.bytes_total: expected a whole number, found "9"'),
        (
            "accuracy = 0.9",
            "accuracy = 90.0",
            "runs.0.accuracy: 90.0 is out of range: an accuracy is a fraction from 0 to",
        ),
        ("accuracy = 0.9", "accuracy = nan", 'runs.0.accuracy: nan is for runs of the state "diverged"; it is "done"'),
        ("accuracy = 0.9", "acuracy = 0.9", "runs.0.acuracy: unknown key; allowed: cell, seed, id, state, accuracy, "),
        ("accuracy = 0.9", "acuracy = 0.9", '; did you mean "accuracy"?'),
        ("accuracy = 0.9, ", "", "runs.0: accuracy is missing"),
        ('id = "a 1"', 'id = "a 0"', 'b.toml:23: runs.1.id: "a 0" occurs 2 times'),
        ('cell = "a", seed = 0', 'cell = "a\\nb", seed = 0', 'runs.0.cell: expected a line of text, found "a\\nb"'),
        ('seeds = "5eed"', 'seeds = ""', "runs.0.seeds: the text is empty"),
        ('state = "done"', 'state = "failed"', '"failed" is unknown; allowed: "done", "target_reached", "diverged"'),
        ('environment = "here"', 'environment = "gone"', 'runs.0.environment: "gone" is unknown; allowed: "here"'),
        ('{ cell = "a", config', '{ cell = "b", config', 'runs.0.cell: "a" is unknown; allowed: "b"'),
        ('{ id = "here"', '{ id = "here", x = 1 }, { id = "here"', 'environments.1.id: "here" occurs 2 times'),
        ('id = "here"', "id = 3", "b.toml:14: environments.0.id: expected a string, found 3"),
        ("config = {  }", "config = 3", "b.toml:18: cells.0.config: expected a table, found 3"),
        ('"4 1.6, 9 1.7"', '"4 1.6,, 9"', "runs.0.first_syncs: expected steps with their estimates, as in "),
        ('"0.9" = 44000', '"0.8" = 44000', 'runs.0.bytes_to."0.8": it is not among the targets, which are [0.9]'),
        (
            'convention = "paper"',
            'convention = "papr"',
            'allowed: "paper", "star", "ring", "upload"; did you mean "paper"?',
        ),
        ("consecutive = 1", "consecutive = 0", "b.toml:6: consecutive: 0 is out of range: it must be at least 1"),
        ("consecutive = 1", "consecutive = true", "b.toml:6: consecutive: expected a whole number, found true"),
        ('reason = "first baseline"', "reason = 3", "b.toml:10: history.0.reason: expected a string, found 3"),
        ('schema = "2"', 'schema = "99"', 'b.toml: baseline schema "99"; this fdabench reads "2"'),
        ('schema = "2"\n', "", 'b.toml: not a baseline: it has no schema; this fdabench reads "2"'),
        (
            'schema = "2"',
            'schema = "1"',
            "b.toml: written by an earlier version of fdabench; write it again: fdabench baseline save RESULTS -o ",
        ),
        ("consecutive = 1", "hit = = 1", "b.toml: not TOML: "),
        (
            "consecutive = 1",
            "<<<<<<< mine\nconsecutive = 1",
            "merge conflict: keep the version of one branch, then run `fdabench",
        ),
    ],
)
def test_each_error_is_reported_with_its_line(
    text: str, refused: Refused, was: str, becomes: str, message: str
) -> None:
    assert was in text
    assert message in refused(text.replace(was, becomes, 1))


def test_all_errors_are_reported_at_once_and_of_hundreds_the_first(text: str, refused: Refused) -> None:
    output = refused(text.replace("syncs = 2", "syncs = -2"))
    assert output.splitlines()[0] == "b.toml: not a baseline that fdabench wrote: 2 faults"
    assert len(output.splitlines()) == 3
    many = refused(re.sub(r"\b(syncs|steps|seed|bytes_[mos]\w+|bytes_total|num_parameters) = \d+", r"\1 = 'x'", text))
    assert many.splitlines()[0].endswith("16 faults")
    assert (len(many.splitlines()), many.splitlines()[-1]) == (12, "and 6 more")


def test_a_truncated_baseline_is_refused(text: str, refused: Refused) -> None:
    """Wherever it is cut; a merge that lost a line is TOML still."""
    lines = text.splitlines(keepends=True)
    (last,) = [line for line in lines if 'id = "a 1"' in line]
    message = refused(text.replace(last, ""))
    assert "end: it states runs = 2, but the file has 1 run: the file was truncated or merged" in message
    start = text.index("convention")
    assert {refused(text[:end]).split(":")[0] for end in range(start, len(text) - 1)} == {"b.toml"}


def test_something_other_than_a_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotComparedError, match=r"absent.toml: this file does not exist; `fdabench baseline save`"):
        read_baseline(tmp_path / "absent.toml")
    with pytest.raises(NotComparedError, match="cannot be read: it is no file"):
        read_baseline(tmp_path)


def test_a_baseline_with_a_byte_order_mark_is_read(text: str, tmp_path: Path) -> None:
    for other in (f"\ufeff{text}", text.removesuffix("\n"), text.replace("\n", "\r\n")):
        (tmp_path / "b.toml").write_text(other, encoding="utf-8", newline="")
        assert dumps(read_baseline(tmp_path / "b.toml")) == text


def test_no_value_raises_an_unexpected_exception(two: ResultsSummary, text: str, tmp_path: Path) -> None:
    """Each value of the file in turn is replaced by nonsense: it is refused, or compared as any other."""
    (tmp_path / "b.toml").write_text(text)
    whole = _raw(tmp_path / "b.toml")
    places: list[dict[str, Any]] = [whole, whole["runs"][0], whole["history"][0], whole["cells"][0], whole["end"]]
    read_all_the_same = 0
    for table in places:
        for key, value in list(table.items()):
            for nonsense in NONSENSE:
                table[key] = nonsense
                (tmp_path / "b.toml").write_text(tomli_w.dumps(whole))
                try:
                    check(read_baseline(tmp_path / "b.toml").snapshot, two, GateConfig(), two, "b.toml")
                    read_all_the_same += 1
                except NotComparedError:
                    pass
            table[key] = value
    assert 10 < read_all_the_same < 120


def _raw(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())
