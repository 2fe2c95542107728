"""The commands that read results; `--help` lists them under "Inspect"."""
