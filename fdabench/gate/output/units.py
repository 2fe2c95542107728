"""Formats the numbers and names of the gate for the user."""

import math
from collections.abc import Sequence

from fdabench.formatting import format_bytes, format_count
from fdabench.metrics import METRICS, Metric

_NAMES = {
    "bytes_total": "bytes",
    "bytes_model": "bytes of models",
    "bytes_state": "bytes of local states",
    "bytes_optimizer": "bytes of optimizer states",
    "num_parameters": "parameters of the model",
    "seeds": "hash of the seeds of all draws",
    "partition": "hash of the classes of each worker",
    "sync_steps": "hash of the steps that synchronize",
}


def format_metric(cell: str) -> str:
    """Return the name of a cell without its hash.

    `fdabench show` does not accept the hash, but the id of a run, which is shown next to the name.
    """
    return cell.split(" #")[0]


def strategy_of(cell: str) -> str:
    """Return the part of a cell's name that describes the strategy.

    >>> strategy_of("fda linear theta=1 | mnist lenet5 | iid | K=5 b=32 #3fa253")
    'fda linear theta=1'
    """
    return format_metric(cell).split(" | ")[0]


def strategy_kinds(cell: str) -> str:
    """Return the strategy of a cell without the values of its settings.

    >>> strategy_kinds("fda linear theta=1 | mnist lenet5 | iid | K=5 b=32 #3fa253")
    'fda linear'
    """
    words = strategy_of(cell).split(" ")
    return " ".join(word for word in words if "=" not in word)


def target_metric(cost: str, target: str, metric: Metric) -> str:
    """Return the name of a cost to a target, such as `bytes_to 0.9`, with the suite's metric if it is not the accuracy.

    >>> target_metric("bytes_to", "2.4", METRICS["loss"])
    'bytes_to 2.4 loss'
    """
    return f"{cost} {target}" if metric.name == "accuracy" else f"{cost} {target} {metric.name}"


def target_name(metric: str) -> str:
    """Return the target in a name that `target_metric` made, with its unit.

    >>> target_name("bytes_to 0.9"), target_name("bytes_to 2.4 loss")
    ('90 %', '2.4 nats')
    """
    _, target, name = [*metric.split(" "), "accuracy"][:3]
    return METRICS[name].format_target(float(target))


def quality_change_text(metric: str, change: float, interval: tuple[float, float] | None = None) -> str:
    """Return a change of the accuracy in points, or of another metric in its unit; arguments as in `points`.

    >>> quality_change_text("loss", -0.013, (-0.03, 0.004)), quality_change_text("perplexity", 0.21)
    ('-0.013 nats [-0.030, +0.004]', '+0.210')
    """
    if metric == "accuracy":
        return points(change, interval)
    text = f"{change:+.3f} {METRICS[metric].unit}".rstrip()
    if interval is None or not all(map(math.isfinite, interval)):
        return text
    return f"{text} [{interval[0]:+.3f}, {interval[1]:+.3f}]"


def metric_name(metric: str) -> str:
    """Return the name of a metric as the user sees it.

    >>> metric_name("bytes_to 0.9")
    'bytes to 90 %'
    """
    name, _, target = metric.partition(" ")
    if name == "bytes_to":
        return f"bytes to {target_name(metric)}"
    if name.startswith("payload."):
        return f"payload of one {name.removeprefix('payload.')} collective"
    if target:
        return f"{name} ({target_name(metric)})"
    return _NAMES.get(name, name)


def is_bytes(metric: str) -> bool:
    """Return whether the values of a metric are numbers of bytes."""
    return "bytes" in metric or metric.startswith("payload.")


def sizes(before: float, after: float) -> tuple[str, str]:
    """Return two numbers of bytes, such as `13.2 MB` and `18.1 MB`; unrounded if they would look equal and are not."""
    texts = format_bytes(before), format_bytes(after)
    exact = before != after and texts[0] == texts[1]
    return (f"{format_count(before)} B", f"{format_count(after)} B") if exact else texts


def span(changes: Sequence[float]) -> str:
    """Return the range of relative changes.

    >>> span([0.08, 0.17])
    '+8 to +17 %'
    >>> span([0.375])
    '+37.5 %'
    """
    low, high = min(changes), max(changes)
    digits = 1 if max(abs(low), abs(high)) < 0.1 or low == high else 0
    ends = [format_signed_percent(low, digits), format_signed_percent(high, digits)]
    return f"{ends[0]} %" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]} %"


def points(change: float, interval: tuple[float, float] | None = None) -> str:
    """Return a change of accuracy in percentage points; with two digits if one would show 0.

    Args:
        change: the change, as a fraction.
        interval: its confidence interval, which is omitted if an end is infinite.

    >>> points(0.001, (-0.03, 0.032))
    '+0.1 points [-3.0, +3.2]'
    """
    digits = 1 if abs(change) >= 0.001 or abs(change) < 1e-12 else 2
    text = f"{format_signed_percent(change, digits)} points"
    if interval is None or not all(map(math.isfinite, interval)):
        return text
    return f"{text} [{format_signed_percent(interval[0], digits)}, {format_signed_percent(interval[1], digits)}]"


def format_signed_percent(fraction: float, digits: int) -> str:
    """Return a fraction as a signed percentage without the sign `%`.

    A change that is too small for the digits gets one significant digit. A rounding error (1e-12 or less) is 0.
    """
    fraction = fraction if abs(fraction) > 1e-12 else 0.0
    text = f"{100 * fraction:+.{digits}f}"
    return text if float(text) != 0 or fraction == 0 else f"{100 * fraction:+.1g}"
