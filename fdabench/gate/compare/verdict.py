"""What the gate says of one number, and of all of them together."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fdabench.gate.baseline.model import UnfinishedRun
from fdabench.gate.compare.changed_settings import ChangedRuns

OWN_LIMITS = "its own limits"
"""What results are checked against where there is nothing older."""
Value = int | float | str | None


class Verdict(StrEnum):
    """Worst last."""

    unchanged = "unchanged"
    passed = "pass"
    better = "better"
    inconclusive = "inconclusive"
    fail = "fail"


@dataclass(frozen=True)
class Finding:
    """One number of a run (`seed` given) or of a cell over its seeds; `change` and `interval` are of after to before.

    They are fractions: of the number before for costs, of the test set for accuracy. `kind` is the class of metric, A,
    B or C, or `limit` for a limit of the suite, which stands in `before`.
    """

    kind: str
    verdict: Verdict
    cell: str
    seed: int | None
    metric: str
    before: Value
    after: Value
    change: float | None = None
    interval: tuple[float, float] | None = None
    note: str = ""

    @property
    def name(self) -> str:
        return self.cell if self.seed is None else f"{self.cell} s{self.seed}"


@dataclass(frozen=True)
class SuiteWideTest:
    """The test for small losses everywhere, of one metric, at level `alpha`; `loss` is positive where it is worse."""

    metric: str
    cells: int
    loss: float
    p_value: float
    alpha: float
    verdict: Verdict


@dataclass(frozen=True)
class CheckResult:
    """Everything that `check` found."""

    suite: str
    against: str
    findings: tuple[Finding, ...]
    suite_wide_tests: tuple[SuiteWideTest, ...] = ()
    missing: tuple[UnfinishedRun, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[ChangedRuns, ...] = ()
    """Runs whose settings changed: they are not judged, and keep the gate closed until they are accepted."""
    ids: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """Of every run that was compared, by cell and seed."""
    soft: float = 0.0
    """How much worse reproducible costs may be."""
    results: str = ""
    """The results folder, and the baseline file if there is one: for commands that can be pasted."""
    baseline: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """The suite's file under "", and those of plug-ins by what they add."""
    notes: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    strict: bool = False

    @property
    def changed_findings(self) -> list[Finding]:
        """Whatever is not unchanged, the worst first."""
        changed = [finding for finding in self.findings if finding.verdict != Verdict.unchanged]
        return sorted(changed, key=_badness)

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.changed_findings if finding.verdict in self.failing]

    @property
    def regressed(self) -> bool:
        return bool(self.failures) or any(level.verdict in self.failing for level in self.suite_wide_tests)

    @property
    def exit_code(self) -> int:
        """1 where something is worse, 4 where something that should have been compared was not, else 0."""
        return 1 if self.regressed else 4 if self.missing or self.changed else 0

    @property
    def status(self) -> str:
        """`changed` where settings did and all else is there."""
        if self.regressed:
            return "fail"
        return "not compared" if self.missing else "changed" if self.changed else "pass"

    def counts(self, kind: str) -> Counter[Verdict]:
        return Counter(finding.verdict for finding in self.findings if finding.kind == kind)

    @property
    def failing(self) -> Sequence[Verdict]:
        """What it takes to fail."""
        return (Verdict.fail, Verdict.inconclusive) if self.strict else (Verdict.fail,)


def _badness(finding: Finding) -> tuple[int, float, str, str]:
    """Sorts the worst to the front; of one size as people count."""
    return -list(Verdict).index(finding.verdict), -_size(finding), finding.name, finding.metric


def _size(finding: Finding) -> float:
    """A formula, a state or a missed target is past all numbers; how much other sync steps are is told by the costs."""
    if finding.kind == "B" and finding.metric == "sync_steps":
        return 0.0
    if finding.kind == "A" or finding.change is None:
        return math.inf
    # by the default margins, half a point of accuracy weighs as much as 5 % of a cost
    return abs(finding.change) * (10 if finding.metric == "accuracy" else 1)
