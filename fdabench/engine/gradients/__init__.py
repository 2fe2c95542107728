"""The gradients of all workers: one at a time, or all at once."""
