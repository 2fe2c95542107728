"""All of it in order: limits, formulas, what is reproducible here, what is noisy."""

from collections.abc import Mapping, Sequence
from typing import Any

from fdabench.errors import NoComparisonError
from fdabench.formatting import plural
from fdabench.gate.changed import pair_changed
from fdabench.gate.exact import formulas, reproducible
from fdabench.gate.limits import broken_or_kept
from fdabench.gate.noisy import judge
from fdabench.gate.runs import GONE, Pair, Run, Snapshot, Unfinished
from fdabench.gate.samples import samples
from fdabench.gate.strangers import strangers
from fdabench.gate.units import readable
from fdabench.gate.verdict import OWN_LIMITS, Checked, Finding, Verdict
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
        own.suite,
        OWN_LIMITS,
        tuple(broken_or_kept(own, gate)),
        missing=tuple(sorted(own.unfinished.values())),
        ids={(run.cell, run.seed): run.id for run in own.runs},
    )


def check(before: Snapshot, after: Snapshot, gate: Mapping[str, Any], own: Snapshot, against: str) -> Checked:
    """Pair runs by id, judge them, and pair those whose settings changed.

    Args:
        before, after: read by the same protocol.
        own: the same results as `after`, read by their own suite's protocol, which limits are for.

    Raises:
        NoComparisonError: they have no cell in common.
    """
    old, new = before.by_id, after.by_id
    pairs = [Pair(old[key], run) for key, run in new.items() if key in old]
    added = [run for key, run in new.items() if key not in old]
    gone = [run for key, run in old.items() if key not in {**new, **after.unfinished}]
    changed = pair_changed(gone, added)
    if not pairs and not changed:
        told = strangers(before, after, against, "these results")
        raise NoComparisonError(f"{against} and {after.suite} have no cell in common{told}")
    targets = tuple(str(float(target)) for target in before.protocol["targets"])
    noisy, levels = judge(samples(pairs, targets), gate)
    findings = [*broken_or_kept(own, gate), *_exact(pairs, gate, targets), *noisy]
    paired = {run.id for each in changed for pair in each.pairs for run in pair}
    absent = [Unfinished(run.cell, run.who, GONE) for run in gone if run.id not in paired]
    return Checked(
        after.suite,
        against,
        tuple(findings),
        tuple(levels),
        missing=tuple(sorted([*after.unfinished.values(), *absent])),
        added=tuple(run.who for run in added if run.id not in paired),
        changed=tuple(changed),
        ids={(pair.after.cell, pair.after.seed): pair.after.id for pair in pairs},
        soft=gate["soft"],
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


def _notes(before: Snapshot, after: Snapshot, pairs: Sequence[Pair], own: Snapshot) -> tuple[str, ...]:
    other = _differing(before.protocol, own.protocol)
    notes = [f"read by the baseline's {key}: {before.protocol[key]}" for key in other]
    others = {(pair.before.environment, pair.after.environment): None for pair in pairs if not pair.same_class}
    for there, here in others:
        old, new = before.environments[there], after.environments[here]
        changes = ", ".join(
            f"{key} {_told(old.get(key))} -> {_told(new.get(key))}" for key in sorted(_differing(old, new))
        )
        notes.append(f"another environment ({changes}): bytes and syncs are judged by a margin, as accuracy is")
    return tuple(notes)


def _told(value: object) -> str:
    """`distributed x1` is an engine, and how many cells it advances together."""
    name, _, together = str(value).rpartition(" x")
    return f"{name}, {plural(int(together), 'cell')} at once" if name and together.isdecimal() else str(value)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _why(pairs: Sequence[Pair]) -> tuple[str, ...]:
    told = ((f"{readable(pair.after.cell)} s{pair.after.seed}", first_difference(*pair)) for pair in pairs)
    return tuple(f"{who}: {text}" for who, text in told if text)
