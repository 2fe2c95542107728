"""Suites and results with anything in them: only what is meant for people comes out.

In this process, with hypothesis; `tests/faults/fuzz_atheris.py` is guided by coverage, with atheris.
"""

import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdabench.cli.commands.show import show
from fdabench.cli.commands.status import print_status
from fdabench.errors import FdabenchError
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import load
from fdabench.suite.reader import read_suite
from support.lenet5_results import SyntheticCell, write_lenet5_results

SUITES = sorted((Path(__file__).parents[2] / "suites").rglob("*.toml"))
WRONG: list[Any] = [None, -1, 10**30, float("nan"), "x", ["x"], {"kind": 3}]
EACH_WRONG = [
    pytest.param(value, id=repr(value), marks=() if n % 2 == 0 else pytest.mark.slow) for n, value in enumerate(WRONG)
]
"""Each takes seconds, as it goes to every place of a file; half of them are enough for the quick tests."""
Where = tuple[str | int, ...]
MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests put back what they change."""
    return write_lenet5_results(
        tmp_path_factory.mktemp("fuzz") / "good", [SyntheticCell([(100, 0.5, 1), (200, 0.99, 2)], [100])]
    )


def places(value: Any, here: Where = ()) -> Iterator[Where]:
    """Where something stands in a table."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*here, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*here, key))


def changed(table: Any, where: Where, wrong: Any) -> Any:
    """With another value there; with none, where that is None."""
    table = deepcopy(table)
    node = table
    for key in where[:-1]:
        node = node[key]
    if wrong is None:
        del node[where[-1]]
    else:
        node[where[-1]] = wrong
    return table


def all_told(root: Path, form: str) -> None:
    """Every reader of the folder ends well, or says what is wrong in a message for people."""
    cell_id = "0" * 12
    readers: list[Callable[[], object]] = [
        lambda: load(root),
        lambda: print_status(root, form),
        lambda: show([str(root)], form),
        lambda: show([str(root), cell_id], form),
    ]
    for read in readers:
        with suppress(FdabenchError):
            read()


@pytest.mark.parametrize("wrong", EACH_WRONG)
def test_a_record_with_anything_in_it_is_read_or_refused(good: Path, wrong: Any) -> None:
    path = good / "cells" / ("0" * 12) / "cell.json"
    whole = path.read_bytes()
    record = json.loads(whole)
    try:
        for where in places(record):
            path.write_text(json.dumps(changed(record, where, wrong)))
            all_told(good, "json")
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("wrong", EACH_WRONG)
def test_a_lock_with_anything_in_it_is_read_or_refused(good: Path, wrong: Any) -> None:
    path = ResultsFolder(good).lock_path
    whole = path.read_bytes()
    lock = tomllib.loads(whole.decode())
    try:
        for where in places(lock):
            path.write_text(tomli_w.dumps(changed(lock, where, wrong)))
            all_told(good, "plain")
    finally:
        path.write_bytes(whole)


def mutated(whole: bytes, edits: list[tuple[float, bytes, int]]) -> bytes:
    """With a few pieces replaced by others of another length."""
    for place, piece, cut in edits:
        at = int(place * len(whole))
        whole = whole[:at] + piece + whole[at + cut :]
    return whole


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.binary(max_size=9) | st.sampled_from([b"\n", b"[", b"}", b'"']), st.integers(0, 40)),
    min_size=1,
    max_size=4,
)


@MANY
@given(st.integers(0, 100), EDITS)
def test_a_folder_with_any_bytes_in_a_file_is_read_or_refused(
    good: Path, file: int, edits: list[tuple[float, bytes, int]]
) -> None:
    paths = sorted(path for path in good.rglob("*") if path.is_file())
    path = paths[file % len(paths)]
    whole = path.read_bytes()
    path.write_bytes(mutated(whole, edits))
    try:
        all_told(good, "json")
    finally:
        path.write_bytes(whole)


@MANY
@given(st.sampled_from(SUITES), EDITS)
def test_a_suite_with_any_bytes_in_it_is_read_or_refused(
    tmp_path: Path, suite: Path, edits: list[tuple[float, bytes, int]]
) -> None:
    path = tmp_path / "suite.toml"
    path.write_bytes(mutated(suite.read_bytes(), edits))
    with suppress(FdabenchError):
        read_suite(path)


@MANY
@given(st.sampled_from(SUITES), st.integers(0, 10**6), st.sampled_from(WRONG), st.integers(0, 10**6))
def test_a_suite_with_anything_in_it_is_read_or_refused(
    tmp_path: Path, suite: Path, place: int, wrong: Any, other: int
) -> None:
    raw = tomllib.loads(suite.read_text(encoding="utf-8"))
    for at in (place, other):
        found = list(places(raw))
        raw = changed(raw, found[at % len(found)], wrong)
    path = tmp_path / "suite.toml"
    path.write_text(tomli_w.dumps(raw), encoding="utf-8")
    with suppress(FdabenchError):
        read_suite(path)
