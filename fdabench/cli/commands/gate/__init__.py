"""The commands that compare results with a baseline; `--help` lists them under "Gate"."""
