"""Detects too little memory: the limit of the address space before libraries are loaded, and exceptions afterwards.

With too little address space, the libraries would fail or hang while they are loaded.
"""

import errno

from fdabench.errors import UsageError

LEAST_BYTES = 1_300_000_000
"""Bytes of address space that fdabench needs at least, measured with two cores and one process.

With less, the files of torch cannot be mapped. In a narrow range of limits, OpenBLAS (part of SciPy) requests its
buffer in an endless loop while it is loaded, and does not react to signals.
"""
_MESSAGES = ("failed to map segment", "cannot allocate memory", "can't allocate memory", "can't start new thread")
"""Messages of the dynamic loader, of torch and of Python, in exceptions of several types."""


def check_address_space() -> None:
    """Check the limit of the address space, which `ulimit -v` sets. Windows has no such limit.

    Raises:
        UsageError: the limit is below `LEAST_BYTES`.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_BYTES:
        raise UsageError(
            f"the address space is limited to {limit / 1e9:.2f} GB, and fdabench needs at least "
            f"{LEAST_BYTES / 1e9:.1f} GB; raise the limit, for example with `ulimit -v unlimited`"
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether the exception reports too little memory, or that no thread can be started."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(text in str(error).lower() for text in _MESSAGES)
