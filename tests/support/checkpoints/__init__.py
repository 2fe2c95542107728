"""Cells that are stopped and resumed, and states that a checkpoint must not have."""
