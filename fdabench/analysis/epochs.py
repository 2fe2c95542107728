"""Selects the evaluations at the ends of nominal epochs."""

import pandas as pd

# the rounding error of a number of epochs
_SLACK = 1e-9


def at_epoch(evals: pd.DataFrame, epoch: int) -> pd.DataFrame:
    """Return the evaluations in whose step the nominal epoch ended.

    Args:
        evals: rows of `evals`, of any number of cells.
        epoch: the number of the epoch, from 1.
    """
    late, step = evals["epoch"] - epoch, evals["epoch"] / evals["step"]
    return evals[(late > -_SLACK) & (late < step - _SLACK)]
