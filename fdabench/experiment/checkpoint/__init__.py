"""Checkpoints of cells: state, serialization, files."""
