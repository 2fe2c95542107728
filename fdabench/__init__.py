"""fdabench: when and how workers should synchronize, measured in bytes and accuracy."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdabench.notebook import load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

# a library says nothing unless the program that uses it configures logging
logging.getLogger("fdabench").addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Import `load` when it is used for the first time: it needs pandas and matplotlib, the rest of a program may not.

    Raises:
        AttributeError: the package has no attribute of this name.
    """
    if name == "load":
        from fdabench.notebook import load

        return load
    raise AttributeError(f"module 'fdabench' has no attribute {name!r}")
