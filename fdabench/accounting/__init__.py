"""Computes what communication costs: bytes in each convention, and time on each network."""
