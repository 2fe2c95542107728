"""A hash of what a file says to the interpreter: comments, docstrings, citations and layout do not count."""

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
            node.body = [part for part in node.body if not (_is_text(part) or _is_reference(part))] or [ast.Pass()]
    return tree


def _is_reference(node: ast.stmt) -> bool:
    """What a component cites does not change its numbers."""
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "reference"


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
