"""The components that a suite names: their tables in TOML, the suite's own ones, plug-ins and citations."""
