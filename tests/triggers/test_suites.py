"""Triggers in suites: their keys, and values that are refused."""

from pathlib import Path
from typing import Any

import pytest

from fdabench.errors import SuiteError
from fdabench.suite.reader import read_suite
from support.suites import digits_suite

REFUSED = {
    "qsr without a rate": ('kind = "qsr"\nwhen = {}', "strategy.0.when: rate is missing; qsr needs it"),
    "qsr without a trigger": ('kind = "qsr"', "strategy.0: when is missing; qsr needs it"),
    "a rate of 0": (
        'kind = "qsr"\nwhen = { rate = 0 }',
        "strategy.0.when.rate: 0 is out of range: it must be more than 0",
    ),
    "a misspelt key": (
        'kind = "qsr"\nwhen = { rate = 1.0, lest = 3 }',
        "strategy.0.when.lest: unknown key: qsr takes no lest; allowed: kind, rate, least, power; did you mean "
        '"least"?',
    ),
    "another trigger in a preset": (
        'kind = "qsr"\nwhen = { kind = "stages", rate = 1.0 }',
        'strategy.0.when.kind: "stages" is unknown; allowed: "qsr"',
    ),
    "an unknown trigger": (
        'kind = "rounds"\nwhen = { kind = "qrs", rate = 1.0 }',
        'strategy.0.when.kind: "qrs" is unknown; allowed: "period", "qsr", "stages", "doubling", "local-condition", '
        '"adacomm"; did you mean "qsr"?',
    ),
    "rounds without a kind": ('kind = "rounds"\nwhen = { rate = 1.0 }', "strategy.0.when: kind is missing; allowed: "),
    "a switch in two units": (
        'kind = "stages"\nwhen = { switch_steps = 3, switch_epochs = 1, local_steps = 2 }',
        "strategy.0.when: both switch_steps and switch_epochs are given; remove one of them",
    ),
    "a first period above the last": (
        'kind = "rounds"\nwhen = { kind = "doubling", every_steps = 3, first = 32 }',
        "strategy.0.when.first: 32 is above most, which is 16",
    ),
    "theta beside the trigger": (
        'kind = "gm"\ntheta = 1.0',
        "strategy.0.theta: unknown key: gm takes no theta (fda, layerwise-fda do)",
    ),
    "adacomm with a first round of 0": (
        'kind = "adacomm"\nwhen = { first = 0 }',
        "strategy.0.when.first: 0 is out of range: it must be at least 1",
    ),
    "two ends of averaging": (
        'kind = "ddp"\n[[strategy]]\nkind = "fedavg"\nlocal_steps = 2\n'
        'correction = { kind = "averaged", until_steps = 3, until_epochs = 1 }',
        "strategy.1.correction: both until_steps and until_epochs are given; remove one of them",
    ),
}
NO_LR = """
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Plain:
    size: float = 0.1
    state_on_sync: str = "keep"

    def build(self, rows):
        return torch.optim.SGD(rows, lr=self.size)


OPTIMIZERS = {"plain": Plain}
"""


def table(folder: Path, strategy: str, **settings: Any) -> Path:
    path = folder / "tiny.toml"
    path.write_text(digits_suite([strategy], steps=10, every_steps=5, **settings), encoding="utf-8")
    return path


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_values_of_triggers_are_refused(case: str, tmp_path: Path) -> None:
    strategy, message = REFUSED[case]
    with pytest.raises(SuiteError) as raised:
        read_suite(table(tmp_path, strategy))
    assert message in str(raised.value)


@pytest.mark.parametrize(("kind", "value"), [("qsr", "rate = 1.0"), ("adacomm", "first = 2")])
def test_an_optimizer_without_a_learning_rate_is_refused(kind: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(NO_LR, encoding="utf-8")
    plugin = {"optimizer": '{ kind = "plain" }', "head": 'plugins = ["plain.py"]'}
    with pytest.raises(SuiteError) as raised:
        read_suite(table(tmp_path, f'kind = "{kind}"\nwhen = {{ {value} }}', **plugin))
    assert f'the trigger "{kind}" follows the learning rate, and the optimizer "plain" has no field lr' in str(
        raised.value
    )
    assert read_suite(table(tmp_path, 'kind = "gm"\nwhen = { theta = 1.0 }', **plugin)).cells


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ('kind = "qsr"\nwhen = { rate = 1.0 }', {"kind": "qsr", "rate": 1.0, "least": 1, "power": 2.0}),
        ('kind = "qsr"\nwhen = { kind = "qsr", rate = 1.0 }', {"kind": "qsr", "rate": 1.0, "least": 1, "power": 2.0}),
        ('kind = "stages"\nwhen = { switch_epochs = 0.5, local_steps = 4 }', {"kind": "stages", "switch_epochs": 0.5,
         "local_steps": 4, "first": 1}),
        ('kind = "gm"\nwhen = { theta = 0.5 }', {"kind": "local-condition", "theta": 0.5, "every": 1}),
    ],
)  # fmt: skip
def test_a_preset_needs_no_kind_of_its_trigger(strategy: str, expected: dict[str, Any], tmp_path: Path) -> None:
    (cell,) = read_suite(table(tmp_path, strategy)).cells
    assert cell.config.strategy.to_table()["when"] == expected


def test_an_absent_end_of_averaging_is_not_in_the_configuration(tmp_path: Path) -> None:
    (cell,) = read_suite(table(tmp_path, 'kind = "fedavg"\nlocal_steps = 2\ncorrection = "averaged"')).cells
    assert cell.config.strategy.to_table()["correction"] == {"kind": "averaged"}
