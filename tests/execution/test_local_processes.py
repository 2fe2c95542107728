"""Worker processes of this machine."""

from pathlib import Path

import pytest

from fdabench.api import load_results, run_suite
from support.suites import digits_suite

SUITE = digits_suite(
    ['kind = "own"'], name="own", steps=2, every_steps=2, targets=None, batch_size=8, head='plugins = ["own.py"]'
)
PLUGIN = """
import os
from dataclasses import dataclass

from fdabench.api import Average, SyncRule, initial_round


@dataclass(frozen=True)
class Own:
    def init(self, w_D):
        return initial_round(w_D, SyncRule(Average()))

    def step(self, ctx, r, channel):
        raise ValueError("value: " + os.environ["OWN_VALUE"])


STRATEGIES = {"own": Own}
"""


def test_processes_have_the_environment_of_their_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of a second run in one program, whose first run has started the server that forks them."""
    (tmp_path / "own.toml").write_text(SUITE)
    (tmp_path / "own.py").write_text(PLUGIN)
    for value in ("first", "second"):
        monkeypatch.setenv("OWN_VALUE", value)
        run_suite(tmp_path / "own.toml", tmp_path / value, jobs=1, device="cpu")
        (record,) = load_results(tmp_path / value).records.values()
        assert record.error is not None
        assert f"value: {value}" in record.error
