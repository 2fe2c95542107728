"""fdabench: when and how workers should synchronize, measured in bytes and accuracy."""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdabench.own_loop.session import sync as sync

__version__ = "0.1.0"

# a library says nothing unless the program that uses it configures logging
logging.getLogger("fdabench").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    # `import fdabench` must not import torch, which takes a second
    if name == "sync":
        from fdabench.own_loop.session import sync

        return sync
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
