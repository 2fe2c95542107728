"""The examples in the docstrings of the package give their stated output."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import fdabench

ROOT = Path(fdabench.__file__).parent
MODULES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(ROOT.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_their_output(name: str) -> None:
    actual = doctest.testmod(import_module(name))
    assert actual.attempted
    assert not actual.failed
