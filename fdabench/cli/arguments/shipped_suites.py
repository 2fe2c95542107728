"""The suites that ship with the package, which a command takes by name: `fdabench run quickstart`.

A wheel has them in `fdabench/suites`. A checkout has them in `suites`, beside the package.
"""

from collections.abc import Mapping
from pathlib import Path

import typer

import fdabench
from fdabench.errors import did_you_mean


def shipped_suites() -> Mapping[str, Path]:
    """Return the suite files by name, sorted. The name of `paper/mnist-lenet5.toml` is `paper/mnist-lenet5`."""
    package = Path(fdabench.__file__).parent
    installed = package / "suites"
    folder = installed if installed.is_dir() else package.parent / "suites"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.toml"))}


def parse_suite(text: str) -> Path:
    """Return the path of a suite.

    A file takes precedence over a shipped suite of the same name. A folder does not, because it is no suite.

    Args:
        text: the path of a file, or the name of a shipped suite.

    Raises:
        typer.BadParameter: no file has this path, no shipped suite has this name, and it does not end in `.toml`.
    """
    path = Path(text)
    try:
        if path.exists() and not path.is_dir():
            return path
    except OSError:  # such as a name that is too long; the reader of the suite reports it
        return path
    shipped = shipped_suites()
    if text in shipped:
        return shipped[text]
    if path.suffix == ".toml" or path.is_dir():
        return path  # the reader of the suite reports that there is no such file
    raise typer.BadParameter(
        f"{text!r} is neither a file nor a suite that ships with fdabench, which `fdabench list suites` prints"
        f"{did_you_mean(text, shipped)}"
    )
