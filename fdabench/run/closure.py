"""Which files of fdabench a cell's numbers depend on, and a hash of what each of them says.

A hash is of the code alone: comments, docstrings, citations and layout do not count. Registries are not followed, so
a cell of one strategy does not depend on another's file.
"""

import ast
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fdabench
from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.suite.members import members

ROOT = Path(fdabench.__file__).parent
ALWAYS = ("run/simulate.py", "run/recorder.py", "run/setting.py", "suite/construct.py", "engine/choice.py")
# what decides numbers; the others only read, show or store them
FOLLOWED = ("core", "engine", "strategies", "monitors", "servers", "partition", "datasets", "models")


def code_of(config: Mapping[str, Any], catalogue: Catalogue = BUILT_IN) -> dict[str, str]:
    """Hash by file, relative to the package, for all that this cell runs."""
    found: dict[str, str] = {}
    pending = [*ALWAYS, *_files_of(config, catalogue)]
    while pending:
        name = pending.pop()
        if name not in found:
            found[name], imports = _read(name)
            pending += imports
    return dict(sorted(found.items()))


def _files_of(config: Mapping[str, Any], catalogue: Catalogue) -> Iterable[str]:
    strategy = config["strategy"]
    cls = catalogue.strategies[strategy["kind"]]
    yield _file(cls.__module__)
    for member in members(cls, catalogue):
        if member.kinds:
            yield _file(member.kinds[strategy[member.name]["kind"]].__module__)
    yield _file(catalogue.partitions[config["partition"]["kind"]].__module__)
    yield _file(catalogue.optimizers[config["optimizer"]["kind"]].__module__)
    for function in (catalogue.models[config["model"]].build, catalogue.datasets[config["dataset"]].load):
        yield _file(getattr(function, "func", function).__module__)


def _file(module: str) -> str:
    return module.removeprefix("fdabench.").replace(".", "/") + ".py"


@cache
def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """The hash of a file's code, and the files that it imports and that are followed."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    own = [_file(module) for module in imports if module.startswith("fdabench.")]
    followed = tuple(file for file in own if file.split("/")[0] in FOLLOWED and (ROOT / file).exists())
    code = ast.unparse(_code_only(tree))
    return hashlib.sha256(code.encode()).hexdigest()[:16], followed


def _code_only(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not (_is_text(part) or _is_reference(part))] or [ast.Pass()]
    return tree


def _is_reference(node: ast.stmt) -> bool:
    """What a component cites does not change its numbers."""
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "reference"


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
