"""Programs that tests start, and scripts that a browser runs."""
