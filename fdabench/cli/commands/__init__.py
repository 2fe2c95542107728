"""The commands of `fdabench`, one module for each."""
