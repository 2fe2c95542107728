"""Ask the C library to keep freed memory: a training step frees and asks for the same blocks again and again.

By default glibc hands blocks of more than 128 kB back to the system at once and pays a page fault for each page when
they are needed again, which is up to a fifth of a step of LeNet-5 on a CPU. Both thresholds have to be raised.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30


def disable_malloc_trim() -> None:
    """For the rest of this process; does nothing where the C library is not glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
