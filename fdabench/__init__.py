"""fdabench: when and how workers should synchronize, measured in bytes and accuracy."""

__version__ = "0.1.0"
