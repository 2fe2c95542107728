"""Whatever a suite contains, it is read or refused, and a message names the line of its key."""

import datetime
import re
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdabench.errors import FdabenchError, SuiteError
from fdabench.suite.reader import LoadedSuite, read_suite
from support.suites import ORIGIN, without_origin

Read = Callable[..., LoadedSuite]
Table = dict[str, Any]


ODD = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 1, 2, 10**6, 10**40, True, 0.5, float("inf"), float("nan"), 1e308]),
    st.floats(),
    st.sampled_from(["", "x", "fda", "sketch", "adam", "reddi", "iid", "label", "table", "number", "digits", "3"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=5),
    st.just(datetime.date(2020, 1, 1)),
    st.just(datetime.datetime(2020, 1, 1, 12, 0)),
    st.just(datetime.time(12, 0)),
)
WORDS = st.sampled_from(
    ["kind", "name", "label", "theta", "monitor", "depth", "server", "preset", "lr", "alpha", "local_steps", "table"]
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def places_in(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [*([path] if path else []), *(place for key in keys for place in places_in(node[key], (*path, key)))]


def mutate(suite: Table, draw: Callable[[Any], Any]) -> None:
    """Delete, rename or replace one value of the suite, or put it into a list or a table."""
    *above, last = draw(st.sampled_from(places_in(suite)))
    node: Any = suite
    for step in above:
        node = node[step]
    action = draw(st.sampled_from(["delete", "rename", "replace", "replace", "wrap", "nest", "add"]))
    if action == "delete":
        del node[last]
    elif action == "rename" and isinstance(node, dict):
        node[draw(WORDS)] = node.pop(last)
    elif action == "wrap":
        node[last] = [node[last]] * draw(st.integers(0, 2))
    elif action == "nest":
        node[last] = {draw(WORDS): node[last]}
    elif action == "add" and isinstance(node[last], dict):
        node[last][draw(WORDS)] = draw(VALUES)
    else:
        node[last] = draw(VALUES)


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_suite_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever stands in a file, it never looks like a bug in fdabench."""
    suite: Table = {
        "name": "good",
        "seeds": [0],
        "budget": {"steps": 40},
        "eval": {"every_steps": 10, "targets": [0.5]},
        "accounting": {"convention": "paper"},
        "workload": [
            {
                "dataset": "digits",
                "model": "mlp",
                "workers": 4,
                "batch_size": 16,
                "optimizer": {"kind": "adam", "lr": 1e-3},
                "partition": [{"kind": "dirichlet", "alpha": 1.0}, {"kind": "label", "label": 3}],
            }
        ],
        "strategy": [
            {"kind": "fedadam", "local_epochs": 1, "server": {"preset": "keras", "lr": 0.1}},
            {"kind": "fda", "monitor": ["naive", {"kind": "sketch"}], "theta": [1.0, {"per_parameter": 1.0}]},
        ],
        "exclude": [{"workers": 5, "alpha": 1.0}],
    }
    for _ in range(data.draw(st.integers(1, 4))):
        mutate(suite, data.draw)
    path = tmp_path / "suite.toml"
    path.write_text(tomli_w.dumps(suite), encoding="utf-8")
    with suppress(FdabenchError):
        assert read_suite(path).cells


def test_values_of_every_type_are_refused_everywhere(good: Table, read: Read) -> None:
    """The same without chance: each place of the suite in turn holds something odd."""
    odd = [3, -1, 0.5, "x", True, [], [[1]], {}, {"kind": "fda"}, {"a": {"b": 1}}, datetime.date(2020, 1, 1)]
    places = places_in(good)
    assert len(places) > 30
    for place, value in product(places, odd):
        suite = deepcopy(good)
        node: Any = suite
        for step in place[:-1]:
            node = node[step]
        node[place[-1]] = value
        try:
            assert read(suite).cells
        except SuiteError as error:
            assert_lines_named(error, tomli_w.dumps(suite).splitlines())


def assert_lines_named(error: SuiteError, lines: list[str]) -> None:
    """A message that names a line names one where a table or a key of its path stands."""
    for fault in error.faults:
        actual = ORIGIN.match(fault)
        if not actual:
            # what is wrong with the whole file, such as a key that is missing at the top
            assert re.match(r"\w+ is missing|gate.limit|the suite has|exclude", fault), fault
            continue
        path = without_origin(fault).split(": ")[0].split(".")
        header_or_key = [key for key in path if not key.isdigit()]
        line = lines[int(actual["line"]) - 1]
        assert any(key in line for key in header_or_key) or re.fullmatch(r"\s*[\[{].*|\s*\S+,", line), (fault, line)


LINES = """\
extends = "base.toml"
name = "lines"

[[strategy]]
kind = "synchronous"
theta = 1.0

[[strategy]]
kind = "fda"
monitor = { kind = "sketch", detph = 5 }
theta = [
    1.0,
    # of no use
    -1.0,
]

[gate]
soft = 2
"""
BASE = """\
seeds = [0, 1,
         -2]

[eval]
every_steps = 10
targets = [0.5]

[gate]
cost_margin = true
soft = 0.5

[[workload]]
dataset = "digits"
model = "mlp"
workers = 4
batch_size = 16
optimizer = { lr = 0.1 }

[[workload]]
dataset = "digits"
model = "mlp"
"""


def test_a_fault_names_the_file_and_the_line_of_its_key(tmp_path: Path) -> None:
    """Also of what comes from the file that a suite extends; --set stands for what no file has."""
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "suite.toml").write_text(LINES)
    with pytest.raises(SuiteError) as caught:
        read_suite(tmp_path / "suite.toml", ["eval.consecutive=0", "workload.workers=0"])
    message = [fault.removeprefix(f"{tmp_path}/").split(": unknown")[0] for fault in caught.value.faults]
    assert sorted(message) == [
        "--set eval.consecutive: 0 is out of range: it must be at least 1",
        "--set workload.0.workers: 0 is out of range: it must be at least 1",
        "--set workload.1.workers: 0 is out of range: it must be at least 1",
        'base.toml:17: workload.0.optimizer: kind is missing; allowed: "sgd", "adam", "adamw"',
        "base.toml:19: workload.1: batch_size is missing",
        "base.toml:19: workload.1: optimizer is missing",
        "base.toml:2: seeds.2: -2 is out of range: it must be at least 0",
        "base.toml:9: gate.cost_margin: expected a number, found true",
        "budget is missing",
        "suite.toml:10: strategy.1.monitor.detph",
        "suite.toml:14: strategy.1.theta.1: -1.0 is out of range: it must be at least 0",
        "suite.toml:18: gate.soft: 2 is out of range: it must be less than 1",
        "suite.toml:6: strategy.0.theta",
    ]
