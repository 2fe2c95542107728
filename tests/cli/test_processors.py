"""The conclusion of the first example does not depend on the order in which a processor sums."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

ROOT = Path(__file__).parents[2]
PATHS: tuple[dict[str, str], ...] = (
    {},
    {"MKL_CBWR": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    {"MKL_CBWR": "COMPATIBLE"},
)
"""Which instructions sums are made with: MKL's and torch's own choice, and others."""
NUMBER = re.compile(r"\d[\d.,]*")

pytestmark = pytest.mark.slow


def concluded(text: str) -> tuple[str, list[str]]:
    """The conclusion without its numbers, which may change by one evaluation, and the order of the strategies."""
    sentence, _, *rows = text[text.index("90 %: ") :].splitlines()
    message = [re.split(r" {2,}", row.strip())[0] for row in rows if re.search(r" of \d+ runs", row)]
    return NUMBER.sub("#", sentence), message


@pytest.mark.parametrize(
    ("suite", "steps", "strategies"),
    [
        ("suites/quickstart.toml", 300, 7),
        ("examples/kamp.toml", 160, 3),
    ],
    ids=["quickstart", "kamp"],
)
def test_the_conclusion_does_not_depend_on_the_order_of_sums(
    suite: str, steps: int, strategies: int, tmp_path: Path, call_in: Callable[..., CompletedProcess[str]]
) -> None:
    # a cell stops at its last target, because later steps do not change the conclusion
    changes = ("--set", f"budget.steps={steps}", "--set", "eval.stop_at_last_target=true")
    actual = []
    for i, variables in enumerate(PATHS):
        result = call_in(tmp_path, "run", str(ROOT / suite), *changes, "-o", f"out{i}", "--jobs", "2", **variables)
        assert result.returncode == 0, result.stderr
        actual.append(concluded(result.stdout))
    assert len(actual[0][1]) == strategies
    assert len(set(actual[0][1])) == strategies
    assert actual == [actual[0]] * len(PATHS)
