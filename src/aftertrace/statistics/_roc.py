"""The area under the ROC curve, and the curve."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aftertrace.statistics import _validate
from aftertrace.statistics._concordance import two_sample_wins
from aftertrace.statistics._validate import Floats


def auc(positive: ArrayLike, negative: ArrayLike) -> float:
    """The probability that a positive scores above a negative, ties counting one half: Mann-Whitney's U / (P n).

    `positive` [P], `negative` [n]: scores, infinities allowed. In [0, 1]; 1 is perfect separation, below 1/2 the
    order is reversed. O((P + n) log(P + n)). Raises `ValueError` for an empty side or NaN.

    >>> auc([2.0, 1.0], [1.0, 0.0])
    0.875
    """
    positive, negative = _validate.scores("positive", positive), _validate.scores("negative", negative)
    above, _ = two_sample_wins(positive, negative)
    return float(above.sum()) / (positive.size * negative.size)


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of a ROC curve: a query is called positive when `score > threshold`. Each array `[distinct + 1]`."""

    fpr: Floats
    tpr: Floats
    threshold: Floats


def roc_curve(positive: ArrayLike, negative: ArrayLike) -> Curve:
    """The empirical ROC curve from (0, 0) to (1, 1), one point per distinct score and the last.

    `positive` [P], `negative` [n]: scores, infinities allowed. A query is called positive when `score > threshold`,
    so the first threshold is the largest score, where nothing is; thresholds fall from there. The last, -inf, stands
    for calling everything positive, scores of -inf included. The trapezoid under the curve is `auc`. Raises
    `ValueError` for an empty side or NaN.
    """
    positive, negative = _validate.scores("positive", positive), _validate.scores("negative", negative)
    threshold, rank = np.unique(np.concatenate([positive, negative]), return_inverse=True)

    def rate(rank: np.ndarray) -> Floats:
        falling = np.bincount(rank, minlength=threshold.size)[::-1]
        return np.concatenate([[0.0], np.cumsum(falling) / rank.size])

    return Curve(
        fpr=rate(rank[positive.size :]),
        tpr=rate(rank[: positive.size]),
        threshold=np.concatenate([threshold[::-1], [-np.inf]]),
    )
