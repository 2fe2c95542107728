"""Requests to stop a run: by a signal, by `--max-time`, or by `--fail-fast`.

The first signal requests a stop, and the run ends at the next step of its cells. A second signal raises an exception at
once, unless it follows within `SAME_REQUEST_S`: GNU `timeout` sends one to the program and then one to its group.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType

from fdabench.cli.exit_codes import Terminated, TimeLimitReached

BY_SIGNAL = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
SAME_REQUEST_S = 0.5
"""Seconds after the first signal within which others are the same request."""


@dataclass
class StopRequest:
    """Whether a stop of the run was requested, and why. A signal takes precedence over the time limit."""

    deadline: float = float("inf")
    """Seconds on the monotonic clock at which the time limit is reached."""
    signum: int | None = None
    """The signal that was received, or None."""
    signaled_at: float = 0.0
    """When the first signal was received, on the monotonic clock."""
    out_of_time: bool = False
    failed: bool = False

    def is_requested(self) -> bool:
        """Whether a stop was requested. The time limit is checked here."""
        self.out_of_time = self.out_of_time or (not self.by_signal_or_failure and monotonic() >= self.deadline)
        return self.out_of_time or self.by_signal_or_failure

    def raise_reason(self) -> None:
        """Raise the exception for the reason of the stop; return if there is none, or a failed cell was the reason.

        Raises:
            KeyboardInterrupt, Terminated: a signal was received.
            TimeLimitReached: the time limit was reached, before a cell failed.
        """
        self.raise_signal()
        if self.out_of_time:
            raise TimeLimitReached

    @property
    def by_signal_or_failure(self) -> bool:
        """Whether a signal or a failed cell requested the stop."""
        return self.signum is not None or self.failed

    def raise_signal(self) -> None:
        """Raise the exception that the received signal stands for; return if none was received."""
        if self.signum is not None:
            raise BY_SIGNAL[signal.Signals(self.signum)]


@contextmanager
def capture_signals(stop: StopRequest) -> Iterator[None]:
    """Record the first SIGINT or SIGTERM in `stop` while the context is open; a later one raises an exception.

    The previous handlers are restored at the end.
    """

    def on_signal(signum: int, frame: FrameType | None) -> None:
        if stop.signum is None:
            stop.signum, stop.signaled_at = signum, monotonic()
        elif monotonic() - stop.signaled_at > SAME_REQUEST_S:
            stop.signum = signum
            stop.raise_signal()

    # a signal that is ignored stays ignored: shells ignore Ctrl-C for programs in the background
    handled = [signum for signum in BY_SIGNAL if signal.getsignal(signum) is not signal.SIG_IGN]
    previous_handlers = {signum: signal.signal(signum, on_signal) for signum in handled}
    try:
        yield
    finally:
        for signum, handler in previous_handlers.items():
            signal.signal(signum, handler)
