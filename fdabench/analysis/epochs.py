"""Evaluations at the ends of nominal epochs."""

import pandas as pd

# what a floating-point number of epochs may be off by
_SLACK = 1e-9


def at_epoch(evals: pd.DataFrame, epoch: int) -> pd.DataFrame:
    """The evaluations in whose step that nominal epoch ended."""
    late, step = evals["epoch"] - epoch, evals["epoch"] / evals["step"]
    return evals[(late > -_SLACK) & (late < step - _SLACK)]
