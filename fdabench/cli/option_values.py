"""Values of options that have a form of their own: a length of time, a share of the cells."""

import re
from collections.abc import Sequence

from fdabench.errors import UsageError
from fdabench.suite.cell import Cell

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(option: str, text: str) -> float:
    """Seconds: `90`, `90s`, `30m`, `1h30m`, `2d`.

    Raises:
        UsageError: anything else, or no time at all.
    """
    found = _DURATION.fullmatch(text.strip())
    parts = zip(found.groups(), _SECONDS.values(), strict=True) if found else []
    seconds = sum(float(count) * unit for count, unit in parts if count)
    if not seconds:
        raise UsageError(f"{option} {text}: expected a length of time such as 90s, 30m, 1h30m or 2d")
    return seconds


def parse_shard(cells: Sequence[Cell], text: str) -> list[Cell]:
    """Every N-th cell from the I-th, for `I/N`: N runs with 1/N to N/N share all cells out.

    Raises:
        UsageError: not of this form, or no such share.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    index, count = (int(number) for number in found.groups()) if found else (0, 0)
    if not 1 <= index <= count:
        raise UsageError(f"--shard {text}: expected I/N with I from 1 to N, as in 1/4")
    return list(cells[index - 1 :: count])
