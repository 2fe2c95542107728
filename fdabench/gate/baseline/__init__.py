"""The baseline file and what it holds."""
