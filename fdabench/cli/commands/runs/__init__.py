"""The commands that write, check, plan and run suites; `--help` lists them under "Run"."""
