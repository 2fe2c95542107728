"""Colors, markers and contrast."""
