"""A suite that is too large to be run is refused before anything is expanded or written."""

from collections.abc import Callable
from typing import Any

import pytest

from fdabench.errors import SuiteError
from fdabench.suite.reader import LoadedSuite

Read = Callable[..., LoadedSuite]
Table = dict[str, Any]


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("budget.steps=1" + "0" * 400, "budget.steps"),
        ("budget={epochs = 1e300}", "budget.epochs"),
        ("seeds=[1" + "0" * 30 + "]", "seeds.0"),
        ("workload.0.batch_size=1" + "0" * 30, "workload.0.batch_size"),
        ("strategy.1={kind = 'fedavg', local_steps = 1" + "0" * 400 + "}", "strategy.1.local_steps"),
        ("strategy.1.local_epochs=1e308", "strategy.1.local_epochs"),
    ],
    ids=lambda value: value if len(value) < 30 else "",
)
def test_numbers_that_are_too_large_for_a_run_are_refused(good: Table, read: Read, override: str, place: str) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, override)
    assert {fault.split(":")[0] for fault in caught.value.faults} == {f"--set {place}"}


def test_too_many_cells_are_refused_before_they_are_expanded(good: Table, read: Read) -> None:
    wide = list(range(1, 701))
    with pytest.raises(SuiteError, match=r"workload\.0: its lists make 490000 variants; between 1 and 100000"):
        read(good | {"workload": [good["workload"][0] | {"workers": wide, "batch_size": wide}]})
    with pytest.raises(SuiteError, match="150000 cells; at most 100000 are allowed"):
        read(good, "seeds=" + str(list(range(50_000))))


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (
            ["budget={epochs = 999999}", "eval.every_steps=1000000", "workload.0.workers=1", "workload.0.batch_size=1"],
            "budget: for digits, workers = 1 and batch_size = 1 it comes to 1.44e+09 local steps; at most 1e+09",
        ),
        (
            ["budget.steps=1000000000", "eval.every_steps=1"],
            "eval: for digits, workers = 4 and batch_size = 16 there would be 1e+09 evaluations; at most 1e+06",
        ),
        (["budget.steps=2000000", "eval={every_epochs = 1e-300}"], "there would be 2e+06 evaluations"),
    ],
)
def test_a_suite_that_is_too_large_is_refused_before_anything_is_run(
    read: Read, good: Table, overrides: list[str], fault: str
) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, *overrides)
    assert fault in caught.value.faults[0]
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(
    "override",
    [
        "budget.steps=1000000",
        "workload.0.workers=1438",
        "strategy.2.monitor={kind = 'sketch', depth = 99, width = 1000000}",
        "strategy.2.every=1000000000",
    ],
)
def test_a_large_value_that_fits_is_not_refused(read: Read, good: Table, override: str) -> None:
    assert read(good, override).cells
