"""What a suite may name: what is built in, and what plug-ins add."""
