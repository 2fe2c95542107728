"""The keys `eval.model` and `eval.validation`, and settings that exclude corrected gradients."""

from pathlib import Path

import pytest

from fdabench.errors import SuiteError
from fdabench.suite.reader import read_suite
from support.suites import FEDAVG, digits_suite

SUITE = digits_suite(
    ['kind = "ddp"', FEDAVG], name="evaluation", steps=10, every_steps=5, targets=None, workers=4, batch_size=8
)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "suite.toml"
    path.write_text(SUITE)
    return path


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("eval.model=mean", 'eval.model: "mean" is unknown'),
        ("eval.validation={share = 1.0}", "eval.validation.share: 1.0 is out of range: it must be less than 1"),
        ("eval.validation={seed = 1}", "eval.validation: share is missing"),
        ("eval.validation={share = 0.1, size = 3}", "eval.validation.size: unknown key"),
        (
            "eval.validation={share = 1e-4}",
            "eval.validation.share: of 1438 samples of digits it takes 0 and leaves 1438",
        ),
        (
            "eval.validation={share = 0.999}",
            "eval.validation.share: of 1438 samples of digits it takes 1437 and leaves 1",
        ),
        (
            "workload.optimizer.state_on_sync=reset",
            'strategy "ddp": optimizer.state_on_sync: "reset" with averaged gradients, which keep the optimizer states '
            'of all workers equal; only "keep" is allowed',
        ),
    ],
)
def test_an_error_in_the_evaluation_is_reported(suite: Path, override: str, message: str) -> None:
    with pytest.raises(SuiteError) as caught:
        read_suite(suite, [override])
    assert message in str(caught.value)


def test_the_evaluation_rule_and_the_validation_split_change_ids(suite: Path) -> None:
    overrides = [[], ["eval.model=synced"], ["eval.model=paper"], ["eval.validation={share=0.1}"]]
    overrides += [["eval.validation={share=0.1, seed=1}"]]
    ids = [cell.id for item in overrides for cell in read_suite(suite, item).cells]
    assert len(set(ids)) == len(ids) == 2 * len(overrides)
