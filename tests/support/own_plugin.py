"""A suite with a plug-in of the user, and what `plan` and a refused command say of it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from support.suites import SGD, SYNCHRONOUS, digits_suite

InProcess = Callable[..., Any]
SUITE = digits_suite(
    [SYNCHRONOUS, 'kind = "doubling"\nfirst = 2'],
    name="own",
    steps=12,
    every_steps=6,
    targets=[0.1],
    batch_size=16,
    optimizer=SGD,
    head='plugins = ["mine.py"]',
)
MINE = '''
"""FedAvg whose period doubles after each sync."""

from dataclasses import dataclass

from fdabench.api import Average, Count, StepResult, SyncRule, initial_round, synchronize


@dataclass(frozen=True)
class Doubling:
    """Sync after `first` steps, then after twice as many, and so on."""

    first: Count

    def init(self, w_D):
        return initial_round(w_D, SyncRule(Average()))

    def step(self, ctx, r, channel):
        if ctx.t + 1 < self.first * (2 ** (r.index + 1) - 1):
            return StepResult(ctx.w_KD, r, False)
        return synchronize(ctx, r, SyncRule(Average()), channel)


STRATEGIES = {"doubling": Doubling}
'''
STEP = "        if ctx.t + 1 < self.first"


class Done(NamedTuple):
    """A folder with the suite and its plug-in after a run with two processes, and the output of the program."""

    folder: Path
    output: subprocess.CompletedProcess[str]


def write(folder: Path) -> None:
    """Write the suite and its plug-in."""
    (folder / "own.toml").write_text(SUITE)
    (folder / "mine.py").write_text(MINE)


def plan(own: InProcess) -> dict[str, tuple[str, str]]:
    """Status and why, by the first word of a cell's title."""
    result = own("plan", "own.toml", "--output-format", "json")
    assert result.exit_code == 0, result.output
    return {row["what"].split()[0]: (row["status"], row["why"]) for row in json.loads(result.stdout)}


def refused(own: InProcess, *arguments: str) -> str:
    """The error message for a suite that is refused; no file is written."""
    before = sorted(path.as_posix() for path in Path().rglob("*"))
    result = own(*(arguments or ("run", "own.toml", "--jobs", "1")))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert sorted(path.as_posix() for path in Path().rglob("*")) == before
    return str(result.stderr)
