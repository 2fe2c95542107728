"""fdabench: when and how workers should synchronize, measured in bytes and accuracy."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdabench.notebook import load
    from fdabench.own_loop.session import sync

__version__ = "0.1.0"
__all__ = ["__version__", "load", "sync"]

# a library says nothing unless the program that uses it configures logging
logging.getLogger("fdabench").addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Import `load` or `sync` when it is first used: `load` needs pandas, `sync` needs torch, and neither the other.

    Raises:
        AttributeError: the package has no attribute of this name.
    """
    if name == "load":
        from fdabench.notebook import load

        return load
    if name == "sync":
        from fdabench.own_loop.session import sync

        return sync
    raise AttributeError(f"module 'fdabench' has no attribute {name!r}")
