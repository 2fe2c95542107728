"""Which files of fdabench a cell's numbers depend on, and a hash of what each of them says.

A hash is of the code alone: comments, docstrings, descriptions and layout do not count. Registries are not followed, so
a cell of one strategy does not depend on another's file.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fdabench
from fdabench.catalogue.code import code_hash, imported_modules
from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.datasets.base import Source
from fdabench.models.base import Architecture
from fdabench.suite.components import components

ROOT = Path(fdabench.__file__).parent
ALWAYS = (
    "run/simulate.py",
    "run/recorder.py",
    "run/setting.py",
    "run/snapshot.py",
    "suite/construct.py",
    "engine/choice.py",
)
# what decides numbers; the others only read, show or store them
FOLLOWED = ("core", "engine", "strategies", "monitors", "servers", "optimizers", "partition", "datasets", "models")
WATCHING = ("engine/lockstep.py", "engine/wire.py")
"""They look at what crosses, and change none of it."""


def code_of(config: Mapping[str, Any], catalogue: Catalogue = BUILT_IN) -> dict[str, str]:
    """Hash by file, relative to the package, for all that this cell runs; of a plug-in, every file of its own and, as
    `data of NAME`, the data that it loads."""
    found: dict[str, str] = {}
    pending = [*ALWAYS]
    for role, name in components(config, catalogue):
        plugin = catalogue.plugin_of(role, name)
        if plugin is None:
            pending.append(_home(getattr(catalogue, role)[name]))
        else:
            found |= plugin.hashes
            pending += [file for source in plugin.sources.values() for file in _followed(source)]
        if role == "datasets" and name in catalogue.data_hashes:
            found[f"data of {name}"] = catalogue.data_hashes[name]
    while pending:
        name = pending.pop()
        if name not in found:
            found[name], imports = _read(name)
            pending += imports
    return dict(sorted(found.items()))


def _home(component: Any) -> str:
    """The file of a class, or of the function that makes a model or loads data."""
    function = component
    if isinstance(component, Architecture | Source):
        function = component.build if isinstance(component, Architecture) else component.load
    return _file(getattr(function, "func", function).__module__)


def _file(module: str) -> str:
    return module.removeprefix("fdabench.").replace(".", "/") + ".py"


@cache
def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """The hash of a file's code, and the files that it imports and that are followed."""
    source = (ROOT / name).read_bytes()
    return code_hash(source), _followed(source)


def _followed(source: bytes) -> tuple[str, ...]:
    own = sorted(_file(module) for module in imported_modules(source) if module.startswith("fdabench."))
    followed = (file for file in own if file.split("/")[0] in FOLLOWED and file not in WATCHING)
    return tuple(file for file in followed if (ROOT / file).exists())
