"""What cells would cost: bytes, memory, time; and what this machine is."""
