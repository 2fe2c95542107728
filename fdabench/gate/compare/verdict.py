"""Defines the verdict of the gate about one number, and the result of a check."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fdabench.gate.baseline.model import UnfinishedRun
from fdabench.gate.compare.changed_settings import ChangedRuns

OWN_LIMITS = "its own limits"
"""What results are checked against if there is no baseline."""
Value = int | float | str | None


class Verdict(StrEnum):
    """The verdict about one number; the worst is last."""

    unchanged = "unchanged"
    passed = "pass"
    better = "better"
    inconclusive = "inconclusive"
    fail = "fail"


@dataclass(frozen=True)
class Finding:
    """One metric of a run, or of a cell over its seeds if `seed` is None.

    `change` and `interval` are the change from before to after: a fraction of the value before for costs, a fraction of
    the test set for accuracy. `kind` is the class of the metric, A, B or C. For a limit of the suite it is `limit`, and
    `before` is the limit.
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
    """The test of one metric for small losses over all cells, at level `alpha`; a positive `loss` is worse."""

    metric: str
    cells: int
    loss: float
    p_value: float
    alpha: float
    verdict: Verdict


@dataclass(frozen=True)
class CheckResult:
    """The result of `check`."""

    suite: str
    against: str
    findings: tuple[Finding, ...]
    suite_wide_tests: tuple[SuiteWideTest, ...] = ()
    missing: tuple[UnfinishedRun, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[ChangedRuns, ...] = ()
    """Runs whose settings changed. They are not judged, and the check does not pass until they are accepted."""
    ids: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """The id of every run that was compared, by cell and seed."""
    soft: float = 0.0
    """By which fraction reproducible costs may be worse."""
    results: str = ""
    """The results folder, for commands that the user can copy; `baseline` is the baseline file, if any."""
    baseline: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """The path of the suite file under "", and those of plug-in files by the names of the components that they add."""
    notes: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    strict: bool = False

    @property
    def changed_findings(self) -> list[Finding]:
        """The findings that are not `unchanged`, the worst first."""
        changed = [finding for finding in self.findings if finding.verdict != Verdict.unchanged]
        return sorted(changed, key=_sort_key)

    @property
    def failures(self) -> list[Finding]:
        """The findings that make the check fail, the worst first."""
        return [finding for finding in self.changed_findings if finding.verdict in self.failing]

    @property
    def regressed(self) -> bool:
        """Whether a finding or a test over all cells makes the check fail."""
        return bool(self.failures) or any(test.verdict in self.failing for test in self.suite_wide_tests)

    @property
    def exit_code(self) -> int:
        """1 if something is worse, 4 if something that should have been compared was not, else 0."""
        return 1 if self.regressed else 4 if self.missing or self.changed else 0

    @property
    def status(self) -> str:
        """`fail`, `not compared`, `changed` (settings changed, nothing is missing) or `pass`."""
        if self.regressed:
            return "fail"
        return "not compared" if self.missing else "changed" if self.changed else "pass"

    def counts(self, kind: str) -> Counter[Verdict]:
        """Return how many findings of a kind have each verdict."""
        return Counter(finding.verdict for finding in self.findings if finding.kind == kind)

    @property
    def failing(self) -> Sequence[Verdict]:
        """The verdicts that make the check fail."""
        return (Verdict.fail, Verdict.inconclusive) if self.strict else (Verdict.fail,)


def _sort_key(finding: Finding) -> tuple[int, float, str, str]:
    """A key that sorts the worst finding first, and equally bad ones by name and metric."""
    return -list(Verdict).index(finding.verdict), -_severity(finding), finding.name, finding.metric


def _severity(finding: Finding) -> float:
    """How bad a finding is, for sorting.

    A formula, a state or a missed target is worse than any number. Changed sync steps count as 0, because the costs
    measure their effect.
    """
    if finding.kind == "B" and finding.metric == "sync_steps":
        return 0.0
    if finding.kind == "A" or finding.change is None:
        return math.inf
    # By the default margins, half a point of accuracy and 0.02 nats are as bad as 5 % of a cost.
    weights = {"accuracy": 10.0, "loss": 2.5, "bits_per_byte": 5 / 3, "perplexity": 0.5}
    return abs(finding.change) * weights.get(finding.metric, 1.0)
