"""Renders the figures, tables and the HTML page of a report."""
