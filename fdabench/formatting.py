"""Text of numbers, lists, paths and settings: one function for each kind, used by the terminal, reports and the gate.

Nothing here reads results or prints. `None`, NaN and infinity become a dash for people and `null` for programs.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

DASH = "–"
"""Stands where a number is missing."""
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_DURATION_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_WITHIN_NUMBER = re.compile(r"(?<=\d) (?=[kMGTPEZY]?B\b|%)|(?<=\w) (?=[θτα][=/])")
_FOLDERS = re.compile(r"(?<![\w.:/])(?:[A-Za-z]:\\|/)(?:[^/\\\s'\":,;()]+[/\\])+")


def format_significant(value: float, digits: int = 3) -> str:
    """Without an exponent: 0.31, 5.3, 161, 4,000."""
    if not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    power = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of what is left after rounding: 0.9996 is 1.00
    decimals = max(0, digits - 1 - power)
    return f"{value:,.{decimals}f}"


def format_count(value: float) -> str:
    """A whole number, a comma at its thousands: 4,000."""
    return f"{value:,.0f}" if math.isfinite(value) else DASH


def format_bytes(value: float) -> str:
    """Decimal units, as the paper counts: 1 GB is 10^9 bytes. Three figures; bytes below a thousand are whole."""
    if not math.isfinite(value):
        return DASH
    if value < 999.5:
        return f"{format_count(value)} B"
    power = min(int(math.log10(value) // 3), len(_BYTE_UNITS) - 1)
    if float(f"{value / 1000**power:.3g}") >= 1000 and power < len(_BYTE_UNITS) - 1:
        power += 1
    return f"{format_significant(value / 1000**power)} {_BYTE_UNITS[power]}"


def format_duration(seconds: float) -> str:
    """Three digits in the largest unit that is not more than the duration: 4.02 ms, 4.13 s, 27.5 min, 3.08 h."""
    if not math.isfinite(seconds):
        return DASH
    size, unit = next(((size, unit) for size, unit in _DURATION_UNITS if seconds >= size), _DURATION_UNITS[-1])
    value = seconds / size
    return f"{format_count(value) if value >= 1000 else format_significant(value)} {unit}"


def format_percent(fraction: float, decimals: int = 1) -> str:
    return f"{100 * fraction:.{decimals}f} %" if math.isfinite(fraction) else DASH


def format_target(target: float) -> str:
    """As short as it can be told apart: 98 %, 98.5 %."""
    return f"{100 * target:.10g} %"


def format_ratio(value: float) -> str:
    """Two digits below ten, whole numbers above: 1.9, 11, 340."""
    if not math.isfinite(value):
        return DASH
    return format_count(value) if value >= 9.95 else format_significant(value, 2)


def plural(number: int, noun: str) -> str:
    return f"{format_count(number)} {noun}" + ("" if number == 1 else "s")


def truncate_list(items: Sequence[str], most: int, rest: str = "and {} more") -> list[str]:
    """The first `most` items and, where there are others, one more that counts them.

    Args:
        rest: the text of that item; `{}` is how many are not named.
    """
    left = len(items) - most
    return [*items[:most], rest.format(left)] if left > 0 else list(items)


def join_first(items: Sequence[str], most: int = 6) -> str:
    """The first `most` items in one line, and how many are not named: `a, b and 3 more`."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def format_parameter(value: Any) -> str:
    """A setting's value in a name: `0.1` for a float, text and whole numbers as they are."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def format_component(table: Mapping[str, Any], without: Collection[str] = ()) -> str:
    """A component's table in one line: `fda(theta=1, monitor=sketch(depth=5))`.

    Args:
        table: settings by key; `kind` names the component, and a nested table is a component as well.
        without: keys that are left out.
    """
    parts = [
        f"{key}={format_component(value) if isinstance(value, Mapping) else format_parameter(value)}"
        for key, value in table.items()
        if key != "kind" and key not in without
    ]
    inner = ", ".join(parts)
    if "kind" not in table:
        return inner
    return f"{table['kind']}({inner})" if inner else str(table["kind"])


def json_value(value: Any) -> Any:
    """A value as JSON has it: mappings and lists of the same, numbers of NumPy and pandas as Python's.

    NaN, infinity, and pandas' missing values are None, as JSON has no such numbers.
    """
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    # by name: pandas takes half a second to import, and most commands do without it
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def non_breaking(text: str) -> str:
    """A number and its unit stay on one line: for pages, which break lines where they like."""
    return _WITHIN_NUMBER.sub("\u00a0", text)


def strip_paths(text: str) -> str:
    """A report travels: where a file lay on one machine says nothing on another."""
    return _FOLDERS.sub("", text)


def describe_budget(configs: Sequence[Mapping[str, Any]]) -> str:
    """`600 steps for all`, or how far budgets lie apart."""
    budgets = distinct_budgets(configs)
    return f"{budgets[0]} for all" if len(budgets) == 1 else f"budgets differ: {', '.join(budgets)}"


def distinct_budgets(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The budgets of cells in words, each once."""
    return sorted({_budget(config["budget"]) for config in configs})


def _budget(budget: Mapping[str, Any]) -> str:
    """Whichever comes first, where there are two."""
    return " or ".join(
        f"{format_count(value) if key == 'steps' else format(value, 'g')} {key}" for key, value in budget.items()
    )
