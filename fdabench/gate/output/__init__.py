"""The result of the gate as text, Markdown, JUnit XML and annotations."""
