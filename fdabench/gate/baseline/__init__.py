"""The baseline file and its content."""
