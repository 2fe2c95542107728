"""The references of the components of a suite, also without the plug-in that defines them."""

from dataclasses import fields
from pathlib import Path

import pytest

from fdabench.component_info import ComponentInfo
from fdabench.models.lora import LORA_REFERENCE
from fdabench.registry.registry import BUILT_IN
from fdabench.suite.components.citations import bibliography, citations, locked_citations, unknown_references
from fdabench.suite.components.use import components_used, distinct_components, locked_components
from fdabench.suite.reader import read_suite
from support.digits_results import make_lock

ROOT = Path(__file__).parents[2]
ROLES = [field.name for field in fields(BUILT_IN) if field.name not in ("plugins", "data_hashes", "availability")]
ENTRY = "@article{kamp2018,\n  title = {Efficient Decentralized Deep Learning}\n}"


def test_every_reference_is_in_the_bibliography() -> None:
    infos = {(role, name): BUILT_IN.info(role, name) for role in ROLES for name in getattr(BUILT_IN, role)}
    assert len(infos) > 30
    assert [fault for info in infos.values() for fault in unknown_references(info)] == []
    cited = {key for info in infos.values() for key in info.references} | {LORA_REFERENCE}
    assert cited == set(bibliography()) - {"fdabench"}


@pytest.mark.parametrize("name", ["suites/quickstart.toml", "suites/mnist.toml", "suites/ci.toml", "suites/cifar.toml"])
def test_every_component_of_a_cell_is_cited(name: str) -> None:
    cells = read_suite(ROOT / name).cells
    used = {pair for cell in cells for pair in components_used(cell.config, BUILT_IN)}
    keys = {"fdabench"} | {key for role, part in used for key in BUILT_IN.info(role, part).references}
    actual = citations(BUILT_IN.info(*pair) for pair in distinct_components(cells, BUILT_IN))
    assert actual == [bibliography()[key] for key in sorted(keys)]


def test_a_report_cites_the_components_of_its_locks() -> None:
    """A report reads the lock alone, so it cites a plug-in that is no longer here."""
    suite = read_suite(ROOT / "suites" / "quickstart.toml")
    lock = suite.to_lock()
    whole = citations(BUILT_IN.info(*pair) for pair in distinct_components(suite.cells, BUILT_IN))
    assert locked_citations([lock, lock]) == whole
    gone = {"strategies": {"no-such-strategy": ComponentInfo(references=(ENTRY,))}}
    assert set(locked_citations([lock, lock.with_changes({"components": gone})])) == {*whole, ENTRY}


def test_a_reference_is_a_key_or_an_entry_with_a_key_of_its_own() -> None:
    assert unknown_references(ComponentInfo(references=("mcmahan2017", ENTRY))) == []
    (fault,) = unknown_references(ComponentInfo(references=("mcmahan2016",)))
    assert 'did you mean "mcmahan2017"' in fault
    (fault,) = unknown_references(ComponentInfo(references=("@misc{mcmahan2017, title = {x}}",)))
    assert "cite it by this key alone" in fault


def test_the_lock_describes_what_cells_use_and_leaves_out_defaults() -> None:
    used = [("monitors", "naive"), ("partitions", "iid")]
    assert locked_components(used, BUILT_IN)["partitions"] == {"iid": ComponentInfo(name="IID", is_iid=True)}
    assert locked_components(used, BUILT_IN)["monitors"]["naive"] == BUILT_IN.info("monitors", "naive")
    written = make_lock([], components=locked_components(used, BUILT_IN)).to_dict()
    assert written["components"]["partitions"] == {"iid": {"name": "IID", "is_iid": True}}
