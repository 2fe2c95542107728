"""Parses option values that have a format of their own: durations, shares of the cells and large whole numbers."""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from fdabench.errors import UsageError
from fdabench.suite.cell import Cell

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(option: str, text: str) -> float:
    """Parse a duration such as `90`, `90s`, `30m`, `1h30m` or `2d` and return seconds.

    Args:
        option: the name of the option, for the message.
        text: the value of the option.

    Raises:
        UsageError: the text is no duration, or it is 0.

    >>> parse_duration("--max-time", "1h30m")
    5400.0
    """
    match = _DURATION.fullmatch(text.strip())
    parts = zip(match.groups(), _SECONDS.values(), strict=True) if match else []
    seconds = sum(float(count) * unit for count, unit in parts if count)
    if not seconds:
        raise UsageError(f"{option} {text}: expected a duration such as 90s, 30m, 1h30m or 2d")
    return seconds


def parse_shard(cells: Sequence[Cell], text: str) -> list[Cell]:
    """Select every N-th cell, starting with the I-th, for the value `I/N` of `--shard`.

    The shares 1/N to N/N have each cell exactly once.

    Args:
        cells: all cells.
        text: the value of the option.

    Raises:
        UsageError: the text does not have this form, or I is not in 1..N.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    index, count = (int(number) for number in match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise UsageError(f"--shard {text}: expected I/N with I from 1 to N, such as 1/4")
    return list(cells[index - 1 :: count])


def parse_whole_number(text: str, most: int, power: int = 0) -> int | None:
    """Parse a whole number such as `4096`, `60_000` or `1e6`.

    Args:
        text: the number, without its unit.
        most: the largest number that is allowed; the smallest is 1.
        power: of ten that the unit stands for, such as 6 for M.

    Returns:
        The number; None if the text is no number, or the number is not whole or out of range.

    >>> parse_whole_number("1e6", 10**9), parse_whole_number("1.5", 10**9, power=3), parse_whole_number("0.5", 10**9)
    (1000000, 1500, None)
    """
    try:
        number = Decimal(text.replace("_", ""))
        scaled = number.scaleb(power) if power else number
    except InvalidOperation:
        return None
    # compare before converting to int: 1e999999999 has a billion digits
    if not scaled.is_finite() or not 1 <= scaled <= most or scaled != scaled.to_integral_value():
        return None
    return int(scaled)
