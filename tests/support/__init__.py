"""Helpers of several test folders: suites, small problems, results without training, and ways to start the program.

pytest puts `tests` on the import path (`pythonpath` in pyproject.toml), so tests write `from support.toy import train`.
Processes that a test spawns inherit that path. Nothing here is collected as a test.
"""
