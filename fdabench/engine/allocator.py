"""Makes the C library keep freed memory, because a training step frees and allocates the same blocks repeatedly.

By default glibc returns blocks of more than 128 kB to the system at once. Each page then faults when it is allocated
again, which takes up to a fifth of a step of LeNet-5 on a CPU. Both thresholds below must be raised to prevent that.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30


def disable_malloc_trim() -> None:
    """Keep freed memory for the rest of this process. Does nothing if the C library is not glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
