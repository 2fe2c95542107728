"""Results folders whose every number was worked out by hand."""
