"""Explains why two results have no run in common."""

from fdabench.gate.baseline.model import ResultsSummary


def explain_no_overlap(before: ResultsSummary, after: ResultsSummary, there: str, here: str) -> str:
    """Return the explanation as the end of a sentence, `; ...`.

    Args:
        before, after: the two results.
        there, here: their names.
    """
    for seen, name in ((before, there), (after, here)):
        if not seen.runs:
            of = f": none of {len(seen.unfinished)} cells has a result" if seen.unfinished else ""
            return f"; {name}: no run{of}"
    if before.suite != after.suite:
        return f"; {there} is of the suite {before.suite!r}, {here} of {after.suite!r}"
    cells = {run.cell for run in before.runs} & {run.cell for run in after.runs}
    if not cells:
        return "; each cell has another configuration"
    seeds = (sorted({run.seed for run in seen.runs if run.cell in cells}) for seen in (before, after))
    old, new = (", ".join(map(str, one)) for one in seeds)
    return f"; the same cells have the seeds {old} in {there} and {new} in {here}"
