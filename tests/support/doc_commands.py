"""The commands that the pages of the documentation show."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = ("sh", "bash", "console", "text", "")
"""Languages of the fenced blocks that contain command lines."""


def blocks(path: Path) -> list[tuple[str, str]]:
    """Language and text of the fenced blocks of a page."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def block_commands(path: Path) -> list[str]:
    """The commands of fdabench in the blocks of a page, without comments, pipes and redirections.

    A line such as `fdabench merge A B -o C    merge the results` of the overview in README.md is a synopsis and is left
    out: it has two spaces where the description begins.
    """
    text = "\n".join(text for language, text in blocks(path) if language in SHELLS)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    parts = [part.strip().removeprefix("$ ") for line in lines for part in re.split(r"&&|\|\||[|;>]| #", line)]
    return [part for part in parts if re.match(r"fdabench [a-z]+ +[^ ]", part) and "  " not in part]


def inline_commands(path: Path) -> list[str]:
    """The commands of fdabench with at least one argument in the code spans of a page."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [
        " ".join(part.split())
        for span in re.findall(r"`(fdabench [a-z]+ [^`]+)`", text)
        for part in re.split(r"&&|[|;>]", span)
    ]
