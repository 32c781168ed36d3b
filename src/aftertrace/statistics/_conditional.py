"""The interval that a single pair of models allows: over records."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtri

from aftertrace.statistics import _validate
from aftertrace.statistics._clopper_pearson import clopper_pearson
from aftertrace.statistics._concordance import two_sample_wins
from aftertrace.statistics._records import Interval

METHOD = "delong over records, conditional on the pair"
SATURATED = "clopper-pearson over records, conditional on the pair"


def auc_interval_one_pair(positive: ArrayLike, negative: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """AUC of one pair of models, with DeLong's variance on the logit scale.

    `positive` [P], `negative` [n]: scores of the deleted and of the unseen records, infinities allowed. The unit is
    the record: the interval is for other records at *this* pair, "conditional on the pair". It does not cover a new
    training, and it takes the records' scores as independent. `n` in the result is P + n.

    Conventions. At an AUC of exactly 0 or 1 the interval is Clopper-Pearson's on min(P, n) trials, one per disjoint
    comparison: conservative, since all P n comparisons agreed (`n` is then min(P, n)). With a single record on one
    side there is no interval; a variance of 0, as when all scores are tied, gives zero width and a note.

    Source: E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988); carried to the logit by the delta
    method. Raises `ValueError` for an empty side or NaN.
    """
    _validate.proportion("confidence", confidence)
    positive, negative = _validate.scores("positive", positive), _validate.scores("negative", negative)
    P, n = positive.size, negative.size
    above, below = two_sample_wins(positive, negative)
    above, below = above / n, below / P  # the placements of both samples
    estimate = float(above.mean())
    none = Interval(estimate, None, None, confidence, P + n, METHOD)
    if above.min() == 1 or above.max() == 0:
        k = min(P, n)
        return replace(clopper_pearson(k if above.min() == 1 else 0, k, confidence=confidence), method=SATURATED)
    if min(P, n) < 2:
        return replace(none, note=f"no interval: at least 2 records of each role are needed, got {P} and {n}")
    error = np.sqrt(above.var(ddof=1) / P + below.var(ddof=1) / n)
    if error < 1e-12:
        return replace(none, low=estimate, high=estimate, note="zero width: all records of a role compare alike")
    half = ndtri((1 + confidence) / 2) * error / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + np.array([-half, half])).tolist()
    return replace(none, low=low, high=high)
