"""Rates at a threshold: true positives at a low false-positive rate, and balanced accuracy."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from aftertrace.statistics import _validate
from aftertrace.statistics._clopper_pearson import clopper_pearson
from aftertrace.statistics._jackknife import rate_interval
from aftertrace.statistics._records import Interval
from aftertrace.statistics._validate import Floats


@dataclass(frozen=True)
class RateAtFpr:
    """The true-positive rate at a nominal false-positive rate `fpr`, with the rate that was realised.

    `tpr`, `realised_fpr`: Clopper-Pearson over queries, conditional on the trained originals; `tpr_new_originals`,
    `fpr_new_originals`: the jackknife over originals, where they were given. Those of the true-positive rate cover
    the choice of the threshold too. When `refused` says why, there is no threshold and no rate.
    """

    fpr: float
    threshold: float | None
    tpr: Interval | None
    realised_fpr: Interval | None
    n_positive: int
    n_negative: int
    n_calibration: int
    tpr_new_originals: Interval | None = None
    fpr_new_originals: Interval | None = None
    refused: str = ""


def conformal_threshold(calibration: ArrayLike, *, fpr: float) -> float | None:
    """The smallest calibration score `t` such that `score > t` has a false-positive rate of at most `fpr`.

    `calibration` [n]: scores of unseen records, infinities allowed: the ceil((n + 1)(1 - fpr))-th smallest is taken.
    None when (n + 1) fpr < 1: ceil(1 / fpr) - 1 records are needed, 9 for 10 % and 99 for 1 %.

    The rate is marginal: the mean over calibration samples and one more unseen record exchangeable with them. For one
    calibration sample the realised rate may lie above. `fpr` is read as the decimal it prints as, so that .1 is a
    tenth. Source: V. Vovk et al., Algorithmic Learning in a Random World (2005). Raises `ValueError` for NaN or `fpr`
    outside (0, 1).

    >>> conformal_threshold([5.0, 1.0, 2.0, 3.0], fpr=0.2)
    5.0
    """
    _validate.proportion("fpr", fpr)
    calibration = _validate.scores("calibration", calibration, at_least=0)
    allowed = math.floor((calibration.size + 1) * _decimal(fpr))
    if allowed < 1:
        return None
    place = calibration.size - allowed  # from 0
    return float(np.partition(calibration, place)[place])


def rate_at_fpr(
    positive: ArrayLike,
    negative: ArrayLike,
    calibration: ArrayLike,
    *,
    fpr: float,
    original_positive: ArrayLike | None = None,
    original_negative: ArrayLike | None = None,
    confidence: float = 0.95,
) -> RateAtFpr:
    """The share of deleted queries found by the threshold that conformal calibration sets for `fpr`.

    `positive` [P], `negative` [n]: scores of the evaluated deleted and unseen queries; `calibration` [c]: scores of
    unseen queries whose records are none of the evaluated ones; `original_positive` [P], `original_negative` [n]:
    their originals, for the intervals over new originals. Infinities allowed.

    Refused, with the number needed and the number present, below ceil(10 / fpr) evaluated unseen queries (100 for
    10 %, 1000 for 1 %), where the realised rate could not be told from zero, and where the calibration sample is
    too small for `fpr`. Intervals of the true-positive rate cover the choice of the threshold. Raises `ValueError`
    for NaN, no positives or arrays that do not fit.
    """
    _validate.proportion("confidence", confidence)
    positive = _validate.scores("positive", positive)
    negative = _validate.scores("negative", negative, at_least=0)
    calibration = _validate.scores("calibration", calibration, at_least=0)
    threshold = conformal_threshold(calibration, fpr=fpr)
    sizes = positive.size, negative.size, calibration.size
    refused = _refusal(fpr, negative.size, calibration.size)
    if refused or threshold is None:
        return RateAtFpr(fpr, None, None, None, *sizes, refused=refused)
    found, accused = positive > threshold, negative > threshold
    return RateAtFpr(
        fpr,
        threshold,
        _widened(clopper_pearson(int(found.sum()), found.size, confidence=confidence), positive, calibration, fpr),
        clopper_pearson(int(accused.sum()), accused.size, confidence=confidence),
        *sizes,
        tpr_new_originals=None
        if original_positive is None
        else _widened(rate_interval(found, original_positive, confidence=confidence), positive, calibration, fpr),
        fpr_new_originals=None
        if original_negative is None
        else rate_interval(accused, original_negative, confidence=confidence),
    )


def balanced_accuracy(positive: ArrayLike, negative: ArrayLike, *, threshold: float) -> float:
    """The mean of the true-positive and the true-negative rate when `score > threshold` is called positive.

    `positive` [P], `negative` [n]: scores. In [0, 1], 1/2 for a call that ignores the score. The threshold must come
    from elsewhere (shadow data): `best_threshold` of the same scores is optimistic. Raises `ValueError` for an empty
    side or NaN.
    """
    positive, negative = _validate.scores("positive", positive), _validate.scores("negative", negative)
    if math.isnan(threshold):
        raise ValueError("`threshold` must be a number, got NaN.")
    return (float(np.mean(positive > threshold)) + float(np.mean(negative <= threshold))) / 2


def best_threshold(positive: ArrayLike, negative: ArrayLike) -> float:
    """The threshold that maximises balanced accuracy when `score > threshold` is called positive.

    `positive` [P], `negative` [n]: scores, infinities allowed. Halfway between two neighbouring distinct scores, with
    the largest float in place of an infinity; the largest score itself where calling nothing positive is best. Among
    equally good ones that with the smallest |TPR - TNR|, then the smallest. To be used on shadow data. Raises
    `ValueError` for an empty side or NaN.
    """
    positive, negative = _validate.scores("positive", positive), _validate.scores("negative", negative)
    distinct, rank = np.unique(np.concatenate([positive, negative]), return_inverse=True)
    below = np.bincount(rank[: positive.size], minlength=distinct.size).cumsum()
    true_negatives = np.bincount(rank[positive.size :], minlength=distinct.size).cumsum()
    # Both rates times P n: integers, so that ties are ties.
    tpr, tnr = (positive.size - below) * negative.size, true_negatives * positive.size
    best = np.flatnonzero(tpr + tnr == (tpr + tnr).max())
    place = int(best[np.argmin(np.abs(tpr - tnr)[best])])
    return float(distinct[-1]) if place == distinct.size - 1 else _between(distinct[place : place + 2])


def _between(neighbours: Floats) -> float:
    """A threshold that separates `[low, high]`: the midpoint, or `low` where floats leave none."""
    largest = np.finfo(np.float64).max
    middle = float(np.sum(np.clip(neighbours, -largest, largest) / 2))
    return middle if neighbours[0] <= middle < neighbours[1] else float(neighbours[0])


def _refusal(fpr: float, n_negative: int, n_calibration: int) -> str:
    reasons = []
    if n_negative < (needed := math.ceil(10 / _decimal(fpr))):
        reasons.append(f"{needed} evaluated unseen queries are needed for an FPR of {fpr:g}, got {n_negative}")
    if n_calibration < (needed := math.ceil(1 / _decimal(fpr)) - 1):
        reasons.append(f"{needed} calibration queries are needed for an FPR of {fpr:g}, got {n_calibration}")
    return "; ".join(reasons)


def _widened(interval: Interval, positive: Floats, calibration: Floats, fpr: float) -> Interval:
    """The interval of a rate, wider by what other calibration queries could have set for a threshold.

    How many calibration scores lie above the true threshold is binomial, so that two of them enclose it; both margins
    are combined as independent ones (Zou and Donner, Statistics in Medicine 27 (2008)).
    """
    if interval.low is None or interval.high is None:
        return interval
    descending, tails = np.sort(calibration)[::-1], (1 - interval.confidence) / 2
    most, least = (int(binom.ppf(q, len(descending), float(fpr))) for q in (1 - tails, tails))
    high = float(np.mean(positive >= descending[most])) if most < len(descending) else 1.0
    low = float(np.mean(positive > descending[least - 1])) if least else 0.0
    own = interval.estimate
    return replace(
        interval,
        low=max(0.0, own - math.hypot(own - interval.low, own - low)),
        high=min(1.0, own + math.hypot(interval.high - own, high - own)),
        method=f"{interval.method}, and the threshold's own uncertainty",
    )


def _decimal(value: float) -> Fraction:
    return Fraction(repr(float(value)))
