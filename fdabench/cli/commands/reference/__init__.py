"""The commands that describe components and the machine; `--help` lists them under "Reference"."""
