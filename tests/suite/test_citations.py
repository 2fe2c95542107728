"""What a suite's cells rest on, also where a part of them is no longer here."""

from dataclasses import fields
from pathlib import Path

import pytest

from fdabench.catalogue.kinds import BUILT_IN
from fdabench.suite.citations import bibliography, built_in_references, citations
from fdabench.suite.components import components
from fdabench.suite.reader import read_suite

ROOT = Path(__file__).parents[2]


def test_the_list_of_references_is_what_the_code_says() -> None:
    roles = [field.name for field in fields(BUILT_IN) if field.name not in ("plugins", "data_hashes")]
    code = {
        role: {name: getattr(part, "reference", "") for name, part in getattr(BUILT_IN, role).items()} for role in roles
    }
    assert built_in_references() == code, "fdabench/suite/references.toml"


def test_every_reference_is_in_the_bibliography() -> None:
    keys = {key for role in built_in_references().values() for text in role.values() for key in text.split()}
    assert keys <= set(bibliography())


@pytest.mark.parametrize("name", ["suites/quickstart.toml", "suites/mnist.toml", "suites/ci.toml", "suites/cifar.toml"])
def test_every_component_of_a_cell_is_cited(name: str) -> None:
    cells = read_suite(ROOT / name).cells
    used = {pair for cell in cells for pair in components(cell.config, BUILT_IN)}
    texts = [getattr(getattr(BUILT_IN, role)[part], "reference", "") for role, part in used]
    keys = {"fdabench"} | {key for text in texts for key in text.split()}
    assert citations(cell.config for cell in cells) == [bibliography()[key] for key in sorted(keys)]


def test_a_cell_with_a_plug_in_that_is_not_here_is_cited_for_the_rest() -> None:
    config = dict(read_suite(ROOT / "suites" / "quickstart.toml").cells[0].config)
    whole = citations([config])
    sketch = {"kind": "no-such-strategy", "watch": {"kind": "sketch", "depth": 5, "width": 250}, "theta": 1.0}
    found = citations([{**config, "strategy": sketch, "model": "no-such-model"}])
    keys = ["fdabench", *getattr(BUILT_IN.monitors["sketch"], "reference", "").split()]
    assert len(keys) > 1
    assert {bibliography()[key] for key in keys} <= set(found)
    dataset = BUILT_IN.datasets[config["dataset"]].reference
    assert {bibliography()[key] for key in dataset.split()} <= set(found) & set(whole)
