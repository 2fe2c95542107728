"""How the gate's numbers and names are written for people."""

import math
from collections.abc import Sequence

from fdabench.formatting import format_bytes, format_count, format_target

_NAMES = {
    "bytes_total": "bytes",
    "bytes_model": "bytes of models",
    "bytes_state": "bytes of local states",
    "bytes_optimizer": "bytes of optimizer states",
    "num_parameters": "parameters of the model",
    "seeds": "hash of the seeds of all draws",
    "partition": "hash of who holds which classes",
    "sync_steps": "hash of the steps that synchronize",
}


def format_metric(cell: str) -> str:
    """The name without the hash at its end: `fdabench show` takes the ids of runs, which stand beside it."""
    return cell.split(" #")[0]


def strategy_of(cell: str) -> str:
    """`fda linear theta=1`."""
    return format_metric(cell).split(" | ")[0]


def strategy_kinds(cell: str) -> str:
    """`fda linear`: without the values of its settings."""
    words = strategy_of(cell).split(" ")
    return " ".join(word for word in words if "=" not in word)


def metric_name(metric: str) -> str:
    """`bytes to 90 %` of `bytes_to 0.9`."""
    name, _, target = metric.partition(" ")
    if name == "bytes_to":
        return f"bytes to {format_target(float(target))}"
    if name.startswith("payload."):
        return f"payload of one {name.removeprefix('payload.')} collective"
    if target:
        return f"{name} ({format_target(float(target))})"
    return _NAMES.get(name, name)


def is_bytes(metric: str) -> bool:
    return "bytes" in metric or metric.startswith("payload.")


def sizes(before: float, after: float) -> tuple[str, str]:
    """`13.2 MB`, `18.1 MB`; exact where they would look the same."""
    texts = format_bytes(before), format_bytes(after)
    exact = before != after and texts[0] == texts[1]
    return (f"{format_count(before)} B", f"{format_count(after)} B") if exact else texts


def span(changes: Sequence[float]) -> str:
    """Relative changes as `+8 to +17 %`, or `+37.5 %` where there is one."""
    low, high = min(changes), max(changes)
    digits = 1 if max(abs(low), abs(high)) < 0.1 or low == high else 0
    ends = [format_signed_percent(low, digits), format_signed_percent(high, digits)]
    return f"{ends[0]} %" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]} %"


def points(change: float, interval: tuple[float, float] | None = None) -> str:
    """`+0.1 points [-3.0, +3.2]`; two digits where one would show none."""
    digits = 1 if abs(change) >= 0.001 or abs(change) < 1e-12 else 2
    told = f"{format_signed_percent(change, digits)} points"
    if interval is None or not all(map(math.isfinite, interval)):
        return told
    return f"{told} [{format_signed_percent(interval[0], digits)}, {format_signed_percent(interval[1], digits)}]"


def format_signed_percent(fraction: float, digits: int) -> str:
    """A change too small for the digits is not shown as none; what sums leave behind is none."""
    fraction = fraction if abs(fraction) > 1e-12 else 0.0
    text = f"{100 * fraction:+.{digits}f}"
    return text if float(text) != 0 or fraction == 0 else f"{100 * fraction:+.1g}"
