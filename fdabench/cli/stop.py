"""Whether a run has been asked to stop, and by whom. The first signal asks; the second one does not."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType

from fdabench.cli.exit_codes import Terminated, TimeLimitReached

BY_SIGNAL = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@dataclass
class StopRequest:
    """Asked by a signal, by the clock, or by a cell that failed; whichever came first."""

    deadline: float = float("inf")
    """On the monotonic clock, in seconds."""
    signum: int | None = None
    out_of_time: bool = False
    failed: bool = False

    def is_requested(self) -> bool:
        self.out_of_time = self.out_of_time or (not self.not_by_clock and monotonic() >= self.deadline)
        return self.out_of_time or self.not_by_clock

    def raise_reason(self) -> None:
        """
        Raises:
            KeyboardInterrupt, Terminated: what the signal would have been without somebody to note it.
            TimeLimitReached: the clock was first.
        """
        self.raise_signal()
        if self.out_of_time:
            raise TimeLimitReached

    @property
    def not_by_clock(self) -> bool:
        """Than the clock."""
        return self.signum is not None or self.failed

    def raise_signal(self) -> None:
        if self.signum is not None:
            raise BY_SIGNAL[signal.Signals(self.signum)]


@contextmanager
def capture_signals(stop: StopRequest) -> Iterator[None]:
    """Within, the first Ctrl-C or SIGTERM is noted; the next one is raised wherever the program is."""

    def note(signum: int, frame: FrameType | None) -> None:
        again, stop.signum = stop.signum is not None, signum
        if again:
            stop.raise_signal()

    # whoever started this program with Ctrl-C ignored, as a shell does in the background, means it
    heeded = [signum for signum in BY_SIGNAL if signal.getsignal(signum) is not signal.SIG_IGN]
    before = {signum: signal.signal(signum, note) for signum in heeded}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
