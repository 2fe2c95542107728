"""Writes results for other tools, one module for each tool. `formats` lists them; `fdabench export` calls it."""
