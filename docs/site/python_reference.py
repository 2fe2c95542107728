"""Writes the reference of the Python interface: directives with which autodoc reads the docstrings."""

from collections.abc import Iterable
from inspect import isclass, isfunction

from fdabench import api
from fdabench.errors import FdabenchError

_TOP = (
    "fdabench.load",
    "fdabench.notebook.ResultsView",
    "fdabench.notebook.CellView",
    "fdabench.sync",
    "fdabench.own_loop.session.SyncSession",
)


def python_reference() -> str:
    """A directive for each function and class that other programs import, in Markdown with a block for each heading.

    The types of a component's fields, such as `api.Count`, have no docstrings; docs/api.md describes them.
    """
    names = sorted(api.__all__)
    classes = [name for name in names if isclass(getattr(api, name))]
    errors = [name for name in classes if issubclass(getattr(api, name), FdabenchError)]
    groups = {
        "The package": _TOP,
        "Functions of fdabench.api": _qualified(name for name in names if isfunction(getattr(api, name))),
        "Classes and protocols of fdabench.api": _qualified(name for name in classes if name not in errors),
        "Errors": _qualified(errors),
    }
    return "\n".join(
        f"## {heading}\n\n```{{eval-rst}}\n{_directives(paths)}\n```\n" for heading, paths in groups.items()
    )


def _qualified(names: Iterable[str]) -> list[str]:
    return [f"fdabench.api.{name}" for name in names]


def _directives(paths: Iterable[str]) -> str:
    return "\n\n".join(
        f".. autoclass:: {path}\n   :members:" if path.rpartition(".")[2][0].isupper() else f".. autofunction:: {path}"
        for path in paths
    )
