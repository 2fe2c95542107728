"""How one cell is trained, recorded and checkpointed."""
