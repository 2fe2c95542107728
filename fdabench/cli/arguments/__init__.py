"""Values of arguments: names of the suites that ship with the package, and what a shell completes."""
