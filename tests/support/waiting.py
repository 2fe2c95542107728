"""Waits for the effects of other processes."""

from collections.abc import Callable
from time import monotonic, sleep


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Call `condition` every 0.05 seconds until it returns a true value; fail after `seconds`."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline
        sleep(0.05)
