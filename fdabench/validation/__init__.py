"""Checks of TOML files with pydantic, and their error messages: suites and baselines use the same ones."""
