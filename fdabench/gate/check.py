"""All of it in order: limits, formulas, what is reproducible here, what is noisy."""

from collections.abc import Mapping, Sequence
from typing import Any

from fdabench.errors import NoComparisonError
from fdabench.gate.exact import formulas, reproducible
from fdabench.gate.limits import broken_or_kept
from fdabench.gate.noisy import judge
from fdabench.gate.runs import Run, Snapshot
from fdabench.gate.samples import Pair, samples
from fdabench.gate.strangers import strangers
from fdabench.gate.verdict import Checked, Finding, Verdict
from fdabench.gate.why import first_difference


def check_limits(own: Snapshot, gate: Mapping[str, Any]) -> Checked:
    """Limits alone, without a baseline.

    Raises:
        NoComparisonError: the suite sets no limit.
    """
    if not gate["limit"]:
        raise NoComparisonError(
            f"{own.suite}: nothing to compare with: give --baseline FILE or --against RESULTS, or set limits in the "
            "suite ([[gate.limit]])"
        )
    return Checked(
        own.suite, "its own limits", tuple(broken_or_kept(own, gate)), missing=tuple(sorted(own.unfinished.values()))
    )


def check(before: Snapshot, after: Snapshot, gate: Mapping[str, Any], own: Snapshot, against: str) -> Checked:
    """
    Args:
        before, after: read by the same protocol.
        own: the same results as `after`, read by their own suite's protocol, which limits are for.

    Raises:
        NoComparisonError: they have no cell in common.
    """
    old, new = before.by_id, after.by_id
    pairs = [Pair(old[key], run) for key, run in new.items() if key in old]
    if not pairs:
        told = strangers(before, after, against, "these results")
        raise NoComparisonError(f"{against} and {after.suite} have no cell in common{told}")
    targets = tuple(str(float(target)) for target in before.protocol["targets"])
    noisy, levels = judge(samples(pairs, targets), gate)
    findings = [*broken_or_kept(own, gate), *_exact(pairs, gate, targets), *noisy]
    added = [run for key, run in new.items() if key not in old]
    gone = [_gone(run, added) for key, run in old.items() if key not in {**new, **after.unfinished}]
    return Checked(
        after.suite,
        against,
        tuple(findings),
        tuple(levels),
        missing=tuple(sorted([*after.unfinished.values(), *gone])),
        added=tuple(run.who for run in added),
        notes=_notes(before, after, pairs, own),
        why=_why(pairs),
    )


def _exact(pairs: Sequence[Pair], gate: Mapping[str, Any], targets: tuple[str, ...]) -> list[Finding]:
    found = []
    for pair in pairs:
        found += formulas(*pair)
        if pair.same_class:
            found += reproducible(*pair, gate, targets)
        elif pair.after.state == "diverged" != pair.before.state:
            found.append(_diverged(*pair))
    return found


def _diverged(before: Run, after: Run) -> Finding:
    note = "did not diverge before"
    return Finding("C", Verdict.fail, after.cell, after.seed, "state", before.state, after.state, note=note)


def _gone(run: Run, added: Sequence[Run]) -> str:
    """A run of the baseline without a counterpart, and what may have become of it."""
    same = [new for new in added if new.seed == run.seed and new.cell.split(" #")[0] == run.cell.split(" #")[0]]
    return f"{run.who}{' (another configuration of that name is new)' if same else ''}"


def _notes(before: Snapshot, after: Snapshot, pairs: Sequence[Pair], own: Snapshot) -> tuple[str, ...]:
    other = _differing(before.protocol, own.protocol)
    notes = [f"read by the baseline's {key}: {before.protocol[key]}" for key in other]
    others = {(pair.before.environment, pair.after.environment): None for pair in pairs if not pair.same_class}
    for there, here in others:
        old, new = before.environments[there], after.environments[here]
        changes = ", ".join(f"{key} {old.get(key)} -> {new.get(key)}" for key in sorted(_differing(old, new)))
        notes.append(f"another environment class ({changes}): class B is judged as C")
    return tuple(notes)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _why(pairs: Sequence[Pair]) -> tuple[str, ...]:
    told = ((pair.after.who, first_difference(*pair)) for pair in pairs)
    return tuple(f"{who}: {text}" for who, text in told if text)
