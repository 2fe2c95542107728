"""Reads git revisions of this package and of suites, and whether files are tracked.

If git is not installed, or a folder is not in a repository, revisions are empty and files count as not tracked.
"""

import subprocess
from functools import cache
from pathlib import Path

import fdabench

PACKAGE = Path(fdabench.__file__).parent
REVISION = "revision.txt"
"""A file that hatch_build.py writes into packages that are built from a repository."""
GIT_S = 10.0
# overrides a setting with which a repository can make git run a program
_GIT = ("git", "-c", "core.fsmonitor=false")


@cache
def package_revision() -> str:
    """Return the commit of fdabench: of the checkout that it is imported from, or that it was built from.

    A `+` is appended if files of the checkout differ from the commit. Empty if there was no repository.
    """
    root = PACKAGE.parent
    if (root / ".git").exists():
        return _describe(root, PACKAGE.name)
    built = PACKAGE / REVISION
    return built.read_text(encoding="utf-8").strip() if built.is_file() else ""


def revision_at(folder: Path) -> str:
    """Return the commit of the repository of a folder, with `+` if tracked files differ; empty outside a repository."""
    return _describe(folder, None)


def is_tracked(folder: Path) -> bool:
    """Return whether git tracks files in this folder; False if it does not exist, or without git or a repository."""
    return folder.is_dir() and bool(_run_git(folder, "ls-files", "--", "."))


def _describe(folder: Path, untracked_in: str | None) -> str:
    """The commit. In the folder `untracked_in`, files that are neither tracked nor ignored count as differences."""
    revision = _run_git(folder, "describe", "--always", "--dirty=+", "--exclude=*")
    new = untracked_in and _run_git(folder, "ls-files", "--others", "--exclude-standard", "--", untracked_in)
    return f"{revision}+" if revision and new and not revision.endswith("+") else revision


def _run_git(folder: Path, *arguments: str) -> str:
    """The output of a git command in a folder; empty if git is not installed or fails."""
    command = [*_GIT, "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_S, errors="replace")
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
