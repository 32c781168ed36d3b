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
from aftertrace.statistics._validate import Bools, Floats


@dataclass(frozen=True)
class RateAtFpr:
    """The true-positive rate at a nominal false-positive rate `fpr`, with the rate that was realised.

    `tpr`, `realised_fpr`: Clopper-Pearson over queries, conditional on the trained originals; `tpr_new_originals`,
    `fpr_new_originals`: the jackknife over originals, where they were given. All but `tpr` take the threshold as it is.
    When
    `refused` says why, there is no threshold and no rate.
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
    10 %, 1000 for 1 %), where the realised rate could not be told from zero, and where the calibration sample is too
    small for `fpr`. The interval of `tpr` covers the choice of the threshold; those of new originals do not. Raises
    `ValueError` for NaN, no positives or arrays that do not fit.
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
        _with_threshold(positive, calibration, found, fpr, confidence),
        clopper_pearson(int(accused.sum()), accused.size, confidence=confidence),
        *sizes,
        tpr_new_originals=_over_originals(found, original_positive, confidence),
        fpr_new_originals=_over_originals(accused, original_negative, confidence),
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


def _with_threshold(positive: Floats, calibration: Floats, found: Bools, fpr: float, confidence: float) -> Interval:
    """Clopper-Pearson's interval, wider by what other calibration queries could have set for a threshold.

    How many calibration scores lie above the true threshold is binomial, so that two of them enclose it; both margins
    are combined as independent ones (Zou and Donner, Statistics in Medicine 27 (2008)).
    """
    exact = clopper_pearson(int(found.sum()), found.size, confidence=confidence)
    descending = np.sort(calibration)[::-1]
    most, least = (int(binom.ppf(q, len(descending), float(fpr))) for q in ((1 + confidence) / 2, (1 - confidence) / 2))
    high = float(np.mean(positive >= descending[most])) if most < len(descending) else 1.0
    low = float(np.mean(positive > descending[least - 1])) if least else 0.0
    assert exact.low is not None
    assert exact.high is not None
    return replace(
        exact,
        low=max(0.0, exact.estimate - math.hypot(exact.estimate - exact.low, exact.estimate - low)),
        high=min(1.0, exact.estimate + math.hypot(exact.high - exact.estimate, high - exact.estimate)),
        method=f"{exact.method}, and the threshold's own uncertainty",
    )


def _over_originals(hit: np.ndarray, original: ArrayLike | None, confidence: float) -> Interval | None:
    return None if original is None else rate_interval(hit, original, confidence=confidence)


def _decimal(value: float) -> Fraction:
    return Fraction(repr(float(value)))
