"""Hashes the code of Python files without comments, docstrings, formatting and arguments of `ComponentInfo`.

Records of cells contain the hashes, so that a change of the code is noticed and a change of a comment is not.
"""

import ast
import hashlib


def code_hash(source: bytes) -> str:
    """The first 16 hex digits of SHA-256 of the code of a file.

    >>> code_hash(b"x = 1  # a comment") == code_hash(b"x  =  1")
    True

    Raises:
        SyntaxError: `source` is not valid Python.
    """
    code = ast.unparse(_code_only(ast.parse(source)))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def imported_modules(source: bytes) -> set[str]:
    """The dotted names of all modules that a file may import, at the top level or within functions.

    The import of a name from a package may import a module of that name, so both are included.

    >>> sorted(imported_modules(b"from fdabench.core import channel"))
    ['fdabench.core', 'fdabench.core.channel']
    """
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def _code_only(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
        elif isinstance(node, ast.Call) and _called_name(node) == "ComponentInfo":
            # the description of a component does not affect its results
            node.args, node.keywords = [], []
    return tree


def _called_name(call: ast.Call) -> str:
    """The last name of the called function: `ComponentInfo` for `ComponentInfo(...)` and `api.ComponentInfo(...)`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
