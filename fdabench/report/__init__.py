"""Creates reports from results folders: closing summaries, figures, tables, and pages in HTML and Markdown."""
