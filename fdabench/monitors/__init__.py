"""Monitors: what the model variance is at most, from a small local state. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.core.monitor import Monitor
from fdabench.monitors.exact import Exact
from fdabench.monitors.linear import Linear
from fdabench.monitors.naive import Naive
from fdabench.monitors.sketch import Sketch

MONITORS: Mapping[str, type[Monitor]] = {
    "naive": Naive,
    "linear": Linear,
    "sketch": Sketch,
    "exact": Exact,
}
