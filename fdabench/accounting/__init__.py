"""What communication costs: bytes under each convention, and time on each network."""
