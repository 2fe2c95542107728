"""A hash of what a file says to the interpreter: comments, docstrings, descriptions and layout do not count."""

import ast
import hashlib


def code_hash(source: bytes) -> str:
    """The first 16 hex digits of SHA-256 of the code alone.

    Raises:
        SyntaxError: it is no Python.
    """
    code = ast.unparse(_code_only(ast.parse(source)))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def imported_modules(source: bytes) -> set[str]:
    """Dotted names of what may be a module that the file imports, at the top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _code_only(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
        elif isinstance(node, ast.Call) and _called_name(node) == "ComponentInfo":
            # what a component declares about itself changes none of its numbers
            node.args, node.keywords = [], []
    return tree


def _called_name(call: ast.Call) -> str:
    """`ComponentInfo` of `ComponentInfo(...)` and of `api.ComponentInfo(...)`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
