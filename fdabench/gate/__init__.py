"""The regression test for CI: compares results with a committed baseline, and decides whether they are worse."""
