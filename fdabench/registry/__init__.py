"""The components that a suite may name: built-in ones, and those that plug-ins add."""
