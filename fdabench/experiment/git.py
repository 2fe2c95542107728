"""Git revisions of this package and of a suite, and whether files are tracked; empty answers without git."""

import subprocess
from functools import cache
from pathlib import Path

import fdabench

PACKAGE = Path(fdabench.__file__).parent
REVISION = "revision.txt"
"""A file that hatch_build.py writes into packages that are built from a repository."""
GIT_S = 10.0
# the configuration of a repository may name a program that git runs to look for changes
_GIT = ("git", "-c", "core.fsmonitor=false")


@cache
def package_revision() -> str:
    """The commit of fdabench: of the checkout that it is imported from, else of the one that it was built from.

    `+` at its end says that files of the checkout differed from the commit; empty where no repository was there.
    """
    root = PACKAGE.parent
    if (root / ".git").exists():
        return _describe(root, PACKAGE.name)
    built = PACKAGE / REVISION
    return built.read_text(encoding="utf-8").strip() if built.is_file() else ""


def revision_at(folder: Path) -> str:
    """The commit of the repository that holds this folder, with `+` where tracked files differ; empty outside one."""
    return _describe(folder, None)


def is_tracked(folder: Path) -> bool:
    """Whether git tracks files in this folder, which may not be there; False without git or outside a repository."""
    return folder.is_dir() and bool(_run_git(folder, "ls-files", "--", "."))


def _describe(folder: Path, untracked_in: str | None) -> str:
    """`untracked_in` names a folder where a file that is not in the commit, and not ignored, counts as a difference."""
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
