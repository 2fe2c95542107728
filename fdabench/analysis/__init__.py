"""Computes the numbers and statistics of results. It draws and prints nothing."""
