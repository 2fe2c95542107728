"""The files of fdabench that the numbers of a cell depend on, with a hash of each.

The hashes decide whether a finished cell is stale. They ignore comments, docstrings, descriptions and layout. The
imports of registries are not followed, so a cell of one strategy does not depend on the file of another.
"""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import fdabench
from fdabench.cell_config import CellConfig
from fdabench.datasets.base import DatasetSpec
from fdabench.models.base import ModelSpec
from fdabench.registry.code_hash import code_hash, imported_modules
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.suite.components.use import components_used

ROOT = Path(fdabench.__file__).parent
ALWAYS_HASHED = (
    "experiment/train.py",
    "experiment/recorder.py",
    "experiment/build.py",
    "experiment/build_clients.py",
    "experiment/resolved_cell.py",
    "experiment/checkpoint/state.py",
    "registry/build_component.py",
    "engine/gradients/selection.py",
)
# packages that determine the numbers of a cell; the others read, print or store them
HASHED_PACKAGES = (
    "core",
    "engine",
    "distributed",
    "strategies",
    "monitors",
    "servers",
    "triggers",
    "codecs",
    "corrections",
    "optimizers",
    "partitions",
    "datasets",
    "models",
)
OBSERVER_MODULES = ("distributed/consistency.py", "distributed/traffic_meter.py")
"""Modules that observe messages and do not change them."""


def code_hashes(config: CellConfig, registry: Registry = BUILT_IN) -> dict[str, str]:
    """Return the hash of each file that a cell runs.

    Args:
        config: of the cell.
        registry: the components that it names.

    Returns:
        Hashes by file, relative to the package. For a plug-in, they include all its files and, with the key
        `data of NAME`, the data that it loads.
    """
    hashes: dict[str, str] = {}
    pending = [*ALWAYS_HASHED]
    for role, name in components_used(config, registry):
        plugin = registry.find_plugin(role, name)
        if plugin is None:
            pending.append(_home_module(getattr(registry, role)[name]))
        else:
            hashes |= plugin.hashes
            pending += [file for source in plugin.sources.values() for file in _imported_files(source)]
        if role == "datasets" and name in registry.data_hashes:
            hashes[f"data of {name}"] = registry.data_hashes[name]
    while pending:
        name = pending.pop()
        if name not in hashes:
            hashes[name], imports = _read(name)
            pending += imports
    return dict(sorted(hashes.items()))


def _home_module(component: object) -> str:
    """The file of a class, or of the function that makes a model or loads data."""
    function = component
    if isinstance(component, ModelSpec | DatasetSpec):
        function = component.build if isinstance(component, ModelSpec) else component.load
    return _file(getattr(function, "func", function).__module__)


def _file(module: str) -> str:
    return module.removeprefix("fdabench.").replace(".", "/") + ".py"


@cache
def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """The hash of the code of a file, and the imported files that are followed."""
    source = (ROOT / name).read_bytes()
    return code_hash(source), _imported_files(source)


def _names(source: bytes) -> set[str]:
    """The names that a file imports, and the attributes that it reads, such as `api.synchronize`."""
    nodes = list(ast.walk(ast.parse(source)))
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return imported | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


@cache
def _api_homes() -> Mapping[str, str]:
    """The module that each name of `fdabench.api` comes from, read from its import statements."""
    tree = ast.parse((ROOT / "api.py").read_bytes())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def _imported_files(source: bytes) -> tuple[str, ...]:
    modules = imported_modules(source)
    if "fdabench.api" in modules:
        modules |= {origin for name, origin in _api_homes().items() if name in _names(source)}
    own = sorted(_file(module) for module in modules if module.startswith("fdabench."))
    followed = (file for file in own if file.split("/")[0] in HASHED_PACKAGES and file not in OBSERVER_MODULES)
    return tuple(file for file in followed if (ROOT / file).exists())
