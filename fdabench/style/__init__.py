"""Colors and markers of strategies, and their contrast."""
