"""What a results folder says: a closing summary, tables, figures and a page in Markdown."""
