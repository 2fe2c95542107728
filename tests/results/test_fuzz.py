"""Suites and results with any content are read, or refused with an FdabenchError.

In this process, with hypothesis; `tests/faults/fuzz_atheris.py` is guided by coverage, with atheris.
"""

import json
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdabench.cli.commands.results.show import show
from fdabench.cli.commands.results.status import print_status
from fdabench.errors import FdabenchError
from fdabench.results.escaping import CONTROL
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
    """A valid results folder; tests restore what they change."""
    return write_lenet5_results(
        tmp_path_factory.mktemp("fuzz") / "good", [SyntheticCell([(100, 0.5, 1), (200, 0.99, 2)], [100])]
    )


def places(value: Any, here: Where = ()) -> Iterator[Where]:
    """The paths of all values in a table."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*here, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*here, key))


def changed(table: Any, where: Where, wrong: Any) -> Any:
    """A table with another value at a path, or without it if the value is None."""
    table = deepcopy(table)
    node = table
    for key in where[:-1]:
        node = node[key]
    if wrong is None:
        del node[where[-1]]
    else:
        node[where[-1]] = wrong
    return table


def read_all(root: Path, form: str) -> list[str]:
    """Call every reader of the folder. Return the messages of those that refuse it.

    A message is printable and names the folder. Any other exception than `FdabenchError` fails the test.
    """
    cell_id = next(path.name for path in (root / "cells").iterdir())
    readers: list[Callable[[], object]] = [
        lambda: load(root),
        lambda: print_status(root, form),
        lambda: show([str(root)], form),
        lambda: show([str(root), cell_id], form),
    ]
    messages = []
    for read in readers:
        try:
            read()
        except FdabenchError as error:
            messages.append(str(error))
    for message in messages:
        check_message(message, root)
    return messages


def check_message(message: str, path: Path) -> None:
    """The message names the file or the folder and has no control characters."""
    assert path.as_posix() in message, message
    assert not CONTROL.search(message), message


def test_a_folder_without_changes_is_read_by_each_reader(good: Path) -> None:
    assert read_all(good, "json") == []


@pytest.mark.parametrize("wrong", EACH_WRONG)
def test_a_record_with_any_values_is_read_or_refused(good: Path, wrong: Any) -> None:
    path = good / "cells" / ("0" * 12) / "cell.json"
    whole = path.read_bytes()
    record = json.loads(whole)
    try:
        refused = []
        for where in places(record):
            path.write_text(json.dumps(changed(record, where, wrong)))
            refused += read_all(good, "json")
        assert refused, "no place of a record may hold this value"
    finally:
        path.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", EACH_WRONG)
def test_a_lock_with_any_values_is_read_or_refused(good: Path, wrong: Any) -> None:
    path = ResultsFolder(good).lock_path
    whole = path.read_bytes()
    lock = tomllib.loads(whole.decode())
    try:
        refused = []
        for where in places(lock):
            path.write_text(tomli_w.dumps(changed(lock, where, wrong)))
            refused += read_all(good, "plain")
        assert refused, "no place of a lock may hold this value"
    finally:
        path.write_bytes(whole)


def mutated(whole: bytes, edits: list[tuple[float, bytes, int]]) -> bytes:
    """A content with a few pieces replaced by others of another length."""
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
        read_all(good, "json")
    finally:
        path.write_bytes(whole)


@MANY
@given(st.sampled_from(SUITES), EDITS)
def test_a_suite_with_any_bytes_in_it_is_read_or_refused(
    tmp_path: Path, suite: Path, edits: list[tuple[float, bytes, int]]
) -> None:
    path = tmp_path / "suite.toml"
    path.write_bytes(mutated(suite.read_bytes(), edits))
    try:
        read_suite(path)
    except FdabenchError as error:
        check_message(str(error), path)


@MANY
@given(st.sampled_from(SUITES), st.integers(0, 10**6), st.sampled_from(WRONG), st.integers(0, 10**6))
def test_a_suite_with_any_values_is_read_or_refused(
    tmp_path: Path, suite: Path, place: int, wrong: Any, other: int
) -> None:
    raw = tomllib.loads(suite.read_text(encoding="utf-8"))
    for at in (place, other):
        actual = list(places(raw))
        raw = changed(raw, actual[at % len(actual)], wrong)
    path = tmp_path / "suite.toml"
    path.write_text(tomli_w.dumps(raw), encoding="utf-8")
    try:
        read_suite(path)
    except FdabenchError as error:
        check_message(str(error), path)
