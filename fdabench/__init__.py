"""fdabench: when and how workers should synchronize, measured in bytes and accuracy."""

import logging

__version__ = "0.1.0"

# a library says nothing unless the program that uses it configures logging
logging.getLogger("fdabench").addHandler(logging.NullHandler())
