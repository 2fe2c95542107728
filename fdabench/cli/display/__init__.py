"""What the commands print: cells and their states, plans, the progress of a run and its conclusion."""
