"""Training loops of spawned processes for the tests of `fdabench.sync`."""
