"""How numbers, names and paths are written for people."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

DASH = "–"
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_WITHIN_NUMBER = re.compile(r"(?<=\d) (?=[kMGTPEZY]?B\b|%)|(?<=\w) (?=[θτα][=/])")
_FOLDERS = re.compile(r"(?<![\w.:/])(?:[A-Za-z]:\\|/)(?:[^/\\\s'\":,;()]+[/\\])+")


def significant(value: float, digits: int = 3) -> str:
    """Without an exponent: 0.31, 5.3, 161, 4,000."""
    if not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    power = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of what is left after rounding: 0.9996 is 1.00
    decimals = max(0, digits - 1 - power)
    return f"{value:,.{decimals}f}"


def count(value: float) -> str:
    """A whole number, a comma at its thousands: 4,000."""
    return f"{value:,.0f}" if math.isfinite(value) else DASH


def byte_size(value: float) -> str:
    """Decimal units, as the paper counts: 1 GB is 10^9 bytes. Three figures; bytes below a thousand are whole."""
    if not math.isfinite(value):
        return DASH
    if value < 999.5:
        return f"{count(value)} B"
    power = min(int(math.log10(value) // 3), len(_BYTE_UNITS) - 1)
    if float(f"{value / 1000**power:.3g}") >= 1000 and power < len(_BYTE_UNITS) - 1:
        power += 1
    return f"{significant(value / 1000**power)} {_BYTE_UNITS[power]}"


def percent(fraction: float, decimals: int = 1) -> str:
    return f"{100 * fraction:.{decimals}f} %" if math.isfinite(fraction) else DASH


def target_name(target: float) -> str:
    """As short as it can be told apart: 98 %, 98.5 %."""
    return f"{100 * target:.10g} %"


def ratio_number(value: float) -> str:
    """Two digits below ten, whole numbers above: 1.9, 11, 340."""
    if not math.isfinite(value):
        return DASH
    return count(value) if value >= 9.95 else significant(value, 2)


def plural(number: int, noun: str) -> str:
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")


def listing(items: Sequence[str], most: int = 6) -> str:
    """The first few of many, and how many are not named."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def nobreak(text: str) -> str:
    """A number and its unit stay on one line: for pages, which break lines where they like."""
    return _WITHIN_NUMBER.sub("\u00a0", text)


def without_folders(text: str) -> str:
    """A report travels: where a file lay on one machine says nothing on another."""
    return _FOLDERS.sub("", text)


def budget_text(configs: Sequence[Mapping[str, Any]]) -> str:
    """`600 steps for all`, or how far budgets lie apart."""
    budgets = {_budget(config["budget"]) for config in configs}
    if len(budgets) == 1:
        return f"{budgets.pop()} for all"
    return f"budgets differ: {', '.join(sorted(budgets))}"


def _budget(budget: Mapping[str, Any]) -> str:
    """Whichever comes first, where there are two."""
    return " or ".join(
        f"{count(value) if key == 'steps' else format(value, 'g')} {key}" for key, value in budget.items()
    )
