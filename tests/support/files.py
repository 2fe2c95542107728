"""Reads and changes files in tests."""

from pathlib import Path


def read_files(root: Path) -> dict[str, bytes]:
    """Return the content of every file below `root`, by its path relative to `root`."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def replace_text(path: str | Path, old: str, new: str) -> None:
    """Replace each occurrence of `old` in a text file by `new`; `old` must occur."""
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))
