"""Estimates the bytes, memory and time of cells before they run, and checks the machine."""
