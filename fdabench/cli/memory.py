"""Where there is too little memory to begin with: told before the libraries are loaded, which would fail or hang."""

import errno

from fdabench.errors import UsageError

LEAST_BYTES = 1_300_000_000
"""Of address space. With less (two cores, one process), torch's files cannot be mapped; and in a narrow range of limits
OpenBLAS, as SciPy brings it, asks for its buffer for ever while it is loaded, where no signal is heard."""
_SAID = ("failed to map segment", "cannot allocate memory", "can't allocate memory", "can't start new thread")
"""By the loader, by torch and by Python, in exceptions of several types."""


def check_address_space() -> None:
    """
    Raises:
        UsageError: the system limits it to less than fdabench can begin with.
    """
    try:
        import resource
    except ImportError:  # Windows knows no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_BYTES:
        raise UsageError(
            f"the address space is limited to {limit / 1e9:.2f} GB, and fdabench takes at least "
            f"{LEAST_BYTES / 1e9:.1f} GB: raise the limit, as by `ulimit -v unlimited`"
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether it says that there is no memory, or no room for a thread."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(words in str(error).lower() for words in _SAID)
