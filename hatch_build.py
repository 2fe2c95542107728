"""hatch's build hook: a wheel and a source archive say which commit they were built from; a wheel has the suites."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REVISION = "fdabench/revision.txt"  # fdabench/experiment/git.py reads it
SUITES = "fdabench/suites"  # fdabench/cli/arguments/shipped_suites.py reads it


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds `fdabench/revision.txt` where there is a repository, and to a wheel the folder `suites`.

    An editable installation asks git itself and reads the suites of the checkout.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the revision beside the build. A source archive brings its own along."""
        root = Path(self.root)
        if version == "editable":
            return
        if self.target_name == "wheel":
            build_data["force_include"][str(root / "suites")] = SUITES
        if not (root / ".git").exists():
            return
        revision = _asked(root, "describe", "--always", "--dirty=+", "--exclude=*")
        if not revision:
            return
        if not revision.endswith("+") and _asked(root, "ls-files", "--others", "--exclude-standard", "--", "fdabench"):
            revision += "+"
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "revision.txt"
        path.write_text(f"{revision}\n", encoding="utf-8")
        build_data["force_include"][str(path)] = REVISION

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what `initialize` wrote."""
        if folder := getattr(self, "folder", None):
            folder.cleanup()


def _asked(root: Path, *arguments: str) -> str:
    """What git answers; empty without git."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
