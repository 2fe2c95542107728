"""What a suite's cells rest on, also where a part of them is no longer here."""

from pathlib import Path

import pytest

from fdabench.catalogue.kinds import BUILT_IN
from fdabench.suite.citations import bibliography, citations, known_citations
from fdabench.suite.reader import read_suite

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["suites/quickstart.toml", "suites/mnist.toml", "suites/ci.toml"])
def test_without_plug_ins_both_ways_say_the_same(name: str) -> None:
    cells = read_suite(ROOT / name).cells
    assert known_citations(cell.config for cell in cells) == citations(cells, BUILT_IN)


def test_a_cell_with_a_plug_in_that_is_not_here_is_cited_for_the_rest() -> None:
    config = dict(read_suite(ROOT / "suites" / "quickstart.toml").cells[0].config)
    whole = known_citations([config])
    sketch = {"kind": "no-such-strategy", "watch": {"kind": "sketch", "depth": 5, "width": 250}, "theta": 1.0}
    found = known_citations([{**config, "strategy": sketch, "model": "no-such-model"}])
    keys = ["fdabench", *getattr(BUILT_IN.monitors["sketch"], "reference", "").split()]
    assert len(keys) > 1
    assert {bibliography()[key] for key in keys} <= set(found)
    dataset = BUILT_IN.datasets[config["dataset"]].reference
    assert {bibliography()[key] for key in dataset.split()} <= set(found) & set(whole)
