"""The gate that people keep on in CI: what has changed since a committed baseline, and whether that is worse."""
