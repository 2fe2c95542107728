"""No definition has a forbidden name, and public classes and type aliases of the package have distinct names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fdabench

ROOT = Path(fdabench.__file__).parent
PROGRAMS = ("tests", "benchmarks", "examples", "suites")
FORBIDDEN = {
    *("asked", "begun", "drawn", "felt", "found", "given", "heard", "held", "kept", "known", "met", "missed", "owed"),
    *("said", "seen", "taken", "telling", "told"),  # participles as nouns
    *("alike", "each", "its", "mine", "theirs"),  # pronouns and adverbs
    *("demand", "home", "paint", "paints", "story", "ways"),  # metaphors
}
SAME_CLASS_NAME = {"SyncCallback"}  # for Lightning and for Transformers; a program imports that of its trainer


def defined_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the functions, classes, arguments, variables and attributes that a module defines, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def type_names(tree: ast.Module) -> Iterator[str]:
    """Yield the public classes and type aliases that a module defines, such as `Floats = NDArray[float64]`."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            # a constant is in capitals; a type is written as a class is
            yield from (t.id for t in targets if isinstance(t, ast.Name) and t.id[0].isupper() and not t.id.isupper())


def forbidden_names(root: Path) -> list[str]:
    """The names in `FORBIDDEN` that Python files define, with or without underscores around them."""
    return [
        f"{path.relative_to(root).as_posix()}:{line}: {name}"
        for path in sorted(root.rglob("*.py"))
        for name, line in defined_names(ast.parse(path.read_text(encoding="utf-8")))
        if name.strip("_") in FORBIDDEN
    ]


def repeated_types(root: Path) -> list[str]:
    """Public types that several modules define."""
    files: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        for name in type_names(ast.parse(path.read_text(encoding="utf-8"))):
            if not name.startswith("_"):
                files.setdefault(name, []).append(path.relative_to(root).as_posix())
    repeated = {name: places for name, places in files.items() if len(places) > 1 and name not in SAME_CLASS_NAME}
    return [f"{name} is a type in {' and '.join(places)}" for name, places in repeated.items()]


def test_the_package_has_no_forbidden_name_and_no_repeated_type() -> None:
    assert forbidden_names(ROOT) + repeated_types(ROOT) == []


@pytest.mark.parametrize("folder", PROGRAMS)
def test_tests_and_programs_have_no_forbidden_name(folder: str) -> None:
    root = ROOT.parent / folder
    if not root.exists():
        pytest.skip("an installed package has no programs beside it")
    assert forbidden_names(root) == []


def test_a_forbidden_name_and_a_repeated_type_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("class Row:\n    pass\n\n\ndef size(found):\n    _said = found\n    return _said\n")
    (tmp_path / "b.py").write_text("class Row:\n    pass\n\n\nROWS = 1\nRows = list[Row]\n")
    (tmp_path / "c.py").write_text("Rows: TypeAlias = list[int]\nROWS = 2\n")
    assert forbidden_names(tmp_path) == ["a.py:5: found", "a.py:6: _said"]
    assert repeated_types(tmp_path) == [
        "Row is a type in a.py and b.py",
        "Rows is a type in b.py and c.py",
    ]
