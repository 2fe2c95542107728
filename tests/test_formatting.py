"""The format of numbers, lists and settings in text."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fdabench.formatting import DASH, format_component, format_duration, join_first, json_value, truncate_list


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (1.24, "1.24 s"), (42, "42.0 s"), (600, "10.0 min"), (11_100, "3.08 h"), (math.inf, DASH)],
)
def test_a_duration_has_three_digits_and_one_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_truncated_list_ends_with_the_number_of_remaining_items() -> None:
    assert join_first(["a", "b", "c"], 3) == "a, b, c"
    assert join_first(["a", "b", "c"], 1) == "a and 2 more"
    assert truncate_list(["a", "b", "c"], 1, "{} others") == ["a", "2 others"]
    assert truncate_list(["a"], 1) == ["a"]


def test_nested_components_have_one_style() -> None:
    table = {"kind": "fda", "theta": 1.0, "monitor": {"kind": "sketch", "depth": 5}, "server": {"kind": "average"}}
    assert format_component(table) == "fda(theta=1, monitor=sketch(depth=5), server=average)"
    assert format_component(table, exclude=("server", "theta")) == "fda(monitor=sketch(depth=5))"
    assert format_component({"per_parameter": 0.5}) == "per_parameter=0.5"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (pd.NA, None),
        (pd.NaT, None),
        (np.int64(3), 3),
        (np.float64("nan"), None),
        ({"a": [1.5, (math.nan, "x")]}, {"a": [1.5, [None, "x"]]}),
        (True, True),
    ],
)
def test_nan_and_infinity_are_null_in_json(value: Any, expected: Any) -> None:
    assert json_value(value) == expected
