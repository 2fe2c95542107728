"""Finds the first sync of two runs that is not at the same step, for `check --why`."""

import math
from itertools import zip_longest

from fdabench.gate.baseline.model import RunSummary, Sync


def first_differing_sync(before: RunSummary, after: RunSummary) -> str:
    """Describe the first sync at different steps; "" if all syncs are at the same steps.

    An example is `sync 11: step 412 -> 398, estimate 1.51 -> 1.58 (theta 1.5)`.
    """
    if before.sync_steps == after.sync_steps:
        return ""
    pairs = zip_longest(before.first_syncs, after.first_syncs[: _num_comparable(before)])
    for number, (old, new) in enumerate(pairs, start=1):
        if old is None or new is None or old.step != new.step:
            return f"sync {number}: {_steps(old, new)}{_estimates(old, new)}{_theta(before, after)}"
    equal = f"the first {len(before.first_syncs)} syncs are at the same steps"
    return f"{equal}; --against OLD_RESULTS shows the first that is not"


def _num_comparable(before: RunSummary) -> int | None:
    """How many syncs can be compared; None for all, unless the baseline contains only the first."""
    return None if len(before.first_syncs) >= before.syncs else len(before.first_syncs)


def _steps(old: Sync | None, new: Sync | None) -> str:
    return f"step {old.step if old else 'none'} -> {new.step if new else 'none'}"


def _estimates(old: Sync | None, new: Sync | None) -> str:
    estimates = [_number(sync) for sync in (old, new)]
    return "" if estimates == ["none", "none"] else f", estimate {estimates[0]} -> {estimates[1]}"


def _number(sync: Sync | None) -> str:
    return "none" if sync is None or math.isnan(sync.estimate) else f"{sync.estimate:.3g}"


def _theta(before: RunSummary, after: RunSummary) -> str:
    if after.theta is None:
        return ""
    changed = before.theta is not None and not math.isclose(before.theta, after.theta, rel_tol=1e-12)
    return f" (theta {before.theta:g} -> {after.theta:g})" if changed else f" (theta {after.theta:g})"
