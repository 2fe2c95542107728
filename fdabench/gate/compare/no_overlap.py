"""Explains why two results have no run in common."""

from fdabench.gate.baseline.model import ResultsSummary


def explain_no_overlap(before: ResultsSummary, after: ResultsSummary, before_name: str, after_name: str) -> str:
    """Return the explanation as the end of a sentence, `; ...`.

    Args:
        before, after: the two results.
        before_name, after_name: their names in the sentence.
    """
    for summary, name in ((before, before_name), (after, after_name)):
        if not summary.runs:
            cells_note = f": none of {len(summary.unfinished)} cells has a result" if summary.unfinished else ""
            return f"; {name}: no run{cells_note}"
    if before.suite != after.suite:
        return f"; {before_name} is of the suite {before.suite!r}, {after_name} of {after.suite!r}"
    cells = {run.cell for run in before.runs} & {run.cell for run in after.runs}
    if not cells:
        return "; each cell has another configuration"
    seeds = (sorted({run.seed for run in summary.runs if run.cell in cells}) for summary in (before, after))
    old, new = (", ".join(map(str, values)) for values in seeds)
    return f"; the same cells have the seeds {old} in {before_name} and {new} in {after_name}"
