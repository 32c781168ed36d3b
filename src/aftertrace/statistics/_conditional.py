"""The interval that a single pair of models allows: over records."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtri

from aftertrace.statistics import _validate
from aftertrace.statistics._alike import not_nearer_than_stringer
from aftertrace.statistics._clopper_pearson import clopper_pearson
from aftertrace.statistics._concordance import two_sample_wins
from aftertrace.statistics._records import Interval
from aftertrace.statistics._validate import Floats

METHOD = "delong over records, conditional on the pair"
SATURATED = "clopper-pearson over records, conditional on the pair"


def auc_interval_one_pair(positive: ArrayLike, negative: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """AUC of one pair of models, with DeLong's variance on the logit scale.

    `positive` [P], `negative` [n]: scores of the deleted and of the unseen records, infinities allowed. The unit is
    the record: the interval is for other records at *this* pair, "conditional on the pair". It does not cover a new
    training, and it takes the records' scores as independent. `n` in the result is P + n.

    Conventions. At an AUC of exactly 0 or 1 the interval is Clopper-Pearson's on min(P, n) trials, one per disjoint
    comparison: conservative, since all P n comparisons agreed (`n` is then min(P, n)). With a single record on one
    side there is no interval. The ends are never nearer than those by the variance with a placement of 0 and one of 1
    added to either sample, and, where nearly all placements of one are alike, as after deterministic retraining, than
    Stringer's bounds: few records that are alike would else give an interval of no width.

    Sources: E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988), carried to the logit by the delta
    method; P. Bickel, Int. Stat. Rev. 60 (1992), on Stringer's bound. Raises `ValueError` for an empty side or NaN.
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
    z = float(ndtri((1 + confidence) / 2))
    half = z * error / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + np.array([-half, half])).tolist()
    least = z * float(np.sqrt(_of_few(above) / P + _of_few(below) / n))
    found = replace(none, low=max(0.0, min(low, estimate - least)), high=min(1.0, max(high, estimate + least)))
    return not_nearer_than_stringer(found, above, below)


def _of_few(placement: Floats) -> float:
    """Variance with a placement added at either end: that few are equal does not say that all others would be."""
    return float(np.concatenate([placement, [0.0, 1.0]]).var(ddof=1))
