"""Numbers and statistics of results: no drawing, no printing."""
