"""NumPy types of costs and times. Statistics and figures of them use the same."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]
"""Numbers of collectives."""
