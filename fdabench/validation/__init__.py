"""Validation of TOML files with pydantic, and the error messages. Suites and baselines share it."""
