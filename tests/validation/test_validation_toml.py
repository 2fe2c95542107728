"""Values as TOML writes them, and the line of each key of a file."""

import datetime
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from fdabench.validation.toml_text import MAX_SHOWN, format_path, format_toml, format_value, key_lines

SUITES = sorted((Path(__file__).parents[2] / "suites").rglob("*.toml"))

DOCUMENT = '''\
# a comment
name = "x" # [
seeds = [ # one
 1,

 2, 3,
 [4,
  5]]
text = """
a = [
"""" # ends in a quote of its own
"q r".b = { x = [1,
 2], y = "}" }
[eval]
a.b = 1
a.c = [
  { x = 1 },
  # a comment with ]
  { y = '#' } ]
[[w]]
k = 2020-01-01
  [w.o]
  z = 1
[[w]]
[[w.s]]
q = 1
[[w.s]]'''
LINES = {
    "name": 2,
    "seeds": 3,
    "seeds.0": 4,
    "seeds.1": 6,
    "seeds.2": 6,
    "seeds.3": 7,
    "seeds.3.1": 7,
    "text": 9,
    '"q r"': 12,
    '"q r".b.x.1': 12,
    "eval": 14,
    "eval.a": 15,
    "eval.a.b": 15,
    "eval.a.c": 16,
    "eval.a.c.0.x": 17,
    "eval.a.c.1.y": 19,
    "w": 20,
    "w.0": 20,
    "w.0.k": 21,
    "w.0.o": 22,
    "w.0.o.z": 23,
    "w.1": 24,
    "w.1.s": 25,
    "w.1.s.0.q": 26,
    "w.1.s.1": 27,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_key_has_the_line_on_which_it_begins(newline: str) -> None:
    actual = {format_path(path): line for path, line in key_lines(DOCUMENT.replace("\n", newline)).items()}
    assert {path: actual.get(path) for path in LINES} == LINES


def paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([above] if above else []), *(path for step, item in inner for path in paths(item, (*above, step)))]


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_no_key_of_a_suite_is_without_a_line(path: Path) -> None:
    text = path.read_text()
    assert key_lines(text).keys() == set(paths(tomllib.loads(text)))


TEXT = st.text(st.sampled_from("ab\"'#[]{}=,\\\n é"), max_size=8)
VALUES = st.recursive(
    TEXT | st.integers(-9, 9) | st.booleans() | st.just(datetime.date(2020, 1, 1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4), st.booleans())
def test_a_document_that_is_truncated_before_a_key_has_no_line_for_it(
    document: dict[str, Any], several_lines: bool
) -> None:
    text = tomli_w.dumps(document, multiline_strings=several_lines)
    lines = key_lines(text)
    assert lines.keys() == set(paths(tomllib.loads(text)))
    for path, line in lines.items():
        if all(isinstance(step, str) for step in path):
            before = tomllib.loads("\n".join(text.split("\n")[: line - 1]))
            assert path not in paths(before)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (datetime.date(2020, 1, 1), "2020-01-01"),
        (datetime.time(12, 0), "12:00:00"),
        ('a "b"\n', '"a \\"b\\"\\n"'),
        ({"kind": "iid", "a b": [1, 2.0]}, '{ kind = "iid", "a b" = [1, 2.0] }'),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (1e300, "1e+300"),
    ],
)
def test_values_are_printed_in_toml_syntax(value: Any, text: str) -> None:
    assert format_value(value) == format_toml(value) == text


def test_a_value_of_any_size_and_type_is_printed_in_a_few_characters() -> None:
    assert len(format_value("x" * 1000)) == MAX_SHOWN
    assert format_value(10**5000) == "a number of thousands of digits"
    assert format_value(None) == "None"
