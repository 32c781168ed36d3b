"""The mean of independent values, one per original."""

import numpy as np
from numpy.typing import NDArray

from aftertrace.statistics._records import Interval


def mean_interval(values: NDArray[np.float64], *, confidence: float) -> Interval:
    """Student's t interval for the mean of `values` [m], independent, one per original; m at least 2.

    Of finite AUCs or differences it may reach beyond what they can be; of equal values it has no width, which is right
    only where they cannot but be equal (see `share_difference` for what may be lost). Raises `ValueError` for fewer
    than two values.
    """
    from scipy.stats import t

    m = len(values)
    if m < 2:
        raise ValueError(f"A t interval needs at least 2 values, got {m}.")
    mean = float(values.mean())
    half = float(t.ppf((1 + confidence) / 2, m - 1) * values.std(ddof=1) / np.sqrt(m))
    return Interval(mean, mean - half, mean + half, confidence, m, "t over originals")
