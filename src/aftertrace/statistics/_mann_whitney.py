"""The rank test of two samples, for one pair of models."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from aftertrace.statistics import _validate

LEAST_RECORDS = 8
"""Of each role, for the normal law of the statistic to hold."""


def mann_whitney(positive: ArrayLike, negative: ArrayLike) -> float | None:
    """Two-sided p-value of the scores of both roles having one law; None with fewer than 8 records of a role.

    `positive` [P], `negative` [n]. The normal approximation with the variance corrected for ties and half a unit for
    continuity; 1 where all scores are tied. The unit is the record, conditional on the pair of models. Source: H. Mann,
    D. Whitney, Ann. Math. Stat. 18 (1947); ties: E. Lehmann, *Nonparametrics* (1975). Raises `ValueError` for an empty
    side or NaN.
    """
    positive, negative = _validate.scores("positive", positive), _validate.scores("negative", negative)
    P, n = positive.size, negative.size
    if min(P, n) < LEAST_RECORDS:
        return None
    _, place, count = np.unique(np.concatenate([positive, negative]), return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2  # the mean rank of each value
    statistic = middle[place[:P]].sum() - P * (P + 1) / 2
    size = P + n
    variance = P * n / 12 * (size + 1 - (count.astype(np.float64) ** 3 - count).sum() / (size * (size - 1)))
    if variance <= 0:
        return 1.0
    distance = max(0.0, abs(statistic - P * n / 2) - 0.5)
    return float(2 * ndtr(-distance / np.sqrt(variance)))
