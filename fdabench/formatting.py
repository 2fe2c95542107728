"""Formats numbers, lists, paths and settings as text, for the terminal, reports and the gate.

The functions of numbers return a dash for NaN and infinity; `json_value` returns None, which is `null` in JSON.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence

DASH = "–"
"""Printed in place of a number that is missing."""
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_DURATION_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_WITHIN_NUMBER = re.compile(r"(?<=\d) (?=[kMGTPEZY]?B\b|%)|(?<=\w) (?=[θτα][=/])")
_FOLDERS = re.compile(r"(?<![\w.:/])(?:[A-Za-z]:\\|/)(?:[^/\\\s'\":,;()]+[/\\])+")


def format_significant(value: float, digits: int = 3) -> str:
    """Format a number with this number of significant digits and without an exponent.

    >>> format_significant(0.3104), format_significant(161.4), format_significant(4000)
    ('0.310', '161', '4,000')
    """
    if not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    power = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded number: 0.9996 is printed as 1.00
    decimals = max(0, digits - 1 - power)
    return f"{value:,.{decimals}f}"


def format_count(value: float) -> str:
    """Format a number as a whole number, with commas between thousands.

    >>> format_count(4000)
    '4,000'
    """
    return f"{value:,.0f}" if math.isfinite(value) else DASH


def format_bytes(value: float) -> str:
    """Format bytes with three significant digits in decimal units, as in the paper: 1 GB is 10^9 bytes.

    >>> format_bytes(532), format_bytes(13_960_000)
    ('532 B', '14.0 MB')
    """
    if not math.isfinite(value):
        return DASH
    if value < 999.5:
        return f"{format_count(value)} B"
    power = min(int(math.log10(value) // 3), len(_BYTE_UNITS) - 1)
    if float(f"{value / 1000**power:.3g}") >= 1000 and power < len(_BYTE_UNITS) - 1:
        power += 1
    return f"{format_significant(value / 1000**power)} {_BYTE_UNITS[power]}"


def format_duration(seconds: float) -> str:
    """Format a duration with three significant digits, in the largest unit that is not longer than the duration.

    >>> format_duration(0.00402), format_duration(1650)
    ('4.02 ms', '27.5 min')
    """
    if not math.isfinite(seconds):
        return DASH
    size, unit = next(((size, unit) for size, unit in _DURATION_UNITS if seconds >= size), _DURATION_UNITS[-1])
    value = seconds / size
    return f"{format_count(value) if value >= 1000 else format_significant(value)} {unit}"


def format_percent(fraction: float, decimals: int = 1) -> str:
    """Format a fraction as a percentage.

    >>> format_percent(0.985)
    '98.5 %'
    """
    return f"{100 * fraction:.{decimals}f} %" if math.isfinite(fraction) else DASH


def format_target(target: float) -> str:
    """Format a target accuracy with as many digits as it has.

    >>> format_target(0.98), format_target(0.985)
    ('98 %', '98.5 %')
    """
    return f"{100 * target:.10g} %"


def format_ratio(value: float) -> str:
    """Format a ratio: with two significant digits below ten, as a whole number above.

    >>> format_ratio(1.92), format_ratio(340.2)
    ('1.9', '340')
    """
    if not math.isfinite(value):
        return DASH
    return format_count(value) if value >= 9.95 else format_significant(value, 2)


def plural(number: int, noun: str) -> str:
    """Format a number with a noun, in the plural unless the number is 1.

    >>> plural(1, "cell"), plural(4000, "cell")
    ('1 cell', '4,000 cells')
    """
    return f"{format_count(number)} {noun}" + ("" if number == 1 else "s")


def truncate_list(items: Sequence[str], most: int, rest: str = "and {} more") -> list[str]:
    """Return the first `most` items. If there are more, a last item states how many are left out.

    Args:
        items: the texts.
        most: items to keep.
        rest: the last item; `{}` is replaced by the number of items that are left out.

    >>> truncate_list(["a", "b", "c", "d"], 2)
    ['a', 'b', 'and 2 more']
    """
    left = len(items) - most
    return [*items[:most], rest.format(left)] if left > 0 else list(items)


def join_first(items: Sequence[str], most: int = 6) -> str:
    """Join the first `most` items in one line, and append how many are left out.

    >>> join_first(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    text = ", ".join(items[:most])
    return text if len(items) <= most else f"{text} and {len(items) - most} more"


def format_parameter(value: object) -> str:
    """Format the value of a setting; floats without trailing zeros.

    >>> format_parameter(0.10), format_parameter("sgd")
    ('0.1', 'sgd')
    """
    return f"{value:g}" if isinstance(value, float) else str(value)


def format_component(table: Mapping[str, object], exclude: Collection[str] = ()) -> str:
    """Format the table of a component in one line.

    Args:
        table: settings by key; `kind` is the name of the component, and nested tables are components as well.
        exclude: keys that are left out.

    >>> format_component({"kind": "fda", "theta": 1.0, "monitor": {"kind": "sketch", "depth": 5}})
    'fda(theta=1, monitor=sketch(depth=5))'
    """
    parts = [
        f"{key}={format_component(value) if isinstance(value, Mapping) else format_parameter(value)}"
        for key, value in table.items()
        if key != "kind" and key not in exclude
    ]
    inner = ", ".join(parts)
    if "kind" not in table:
        return inner
    return f"{table['kind']}({inner})" if inner else str(table["kind"])


def json_value(value: object) -> object:
    """Convert a value for JSON: mappings and lists recursively, and numbers of NumPy and pandas to those of Python.

    NaN, infinity and the missing values of pandas become None, because JSON has no such numbers.

    >>> json_value({"loss": float("nan"), "steps": [1, 2]})
    {'loss': None, 'steps': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    # compared by name, because pandas takes half a second to import and most commands do not use it
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def non_breaking(text: str) -> str:
    """Replace the space between a number and its unit by a no-break space, so that browsers keep them on one line."""
    return _WITHIN_NUMBER.sub("\u00a0", text)


def strip_paths(text: str) -> str:
    """Remove the folders of absolute paths, which are of no use to readers of a report on another machine.

    >>> strip_paths("cannot read /home/me/data/train.npz")
    'cannot read train.npz'
    """
    return _FOLDERS.sub("", text)
