"""The interval for a mean difference of shares, where few differ."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from aftertrace.statistics import _validate
from aftertrace.statistics._alike import difference_not_nearer_than_stringer, nearly_alike, too_few, units_that_vary
from aftertrace.statistics._jackknife import MIN_ORIGINALS
from aftertrace.statistics._mean import mean_interval
from aftertrace.statistics._records import Interval
from aftertrace.statistics._validate import Floats


def share_difference(difference: ArrayLike, *, original: ArrayLike | None = None, confidence: float = 0.95) -> Interval:
    """Interval for the mean of `difference` [n] in -1..1: what each of n independent units lost, as a share.

    With few changes a t interval would be far too narrow, and of no width where nothing changed. Losses and gains have
    an exact interval each, and the two are combined: R. Newcombe, Statistics in Medicine 17 (1998), method 10, with
    ends of Clopper and Pearson.

    Deviation: shares between 0 and 1, as of a person with several records, count as parts of a success. No variable in
    0..1 varies more than a success of the same chance, so the interval is wider than it need be, and not narrower.

    `original` [n]: whose units they are, where there are several originals. Then the mean over originals of theirs,
    with Student's t (from 6 originals on; below, no interval). Where nearly all originals have the same mean and fewer
    than 6 differ, no end is nearer than Newcombe's over all units, which takes these as independent. If besides units
    of the same original fare differently in fewer than 6 originals (in fewer than half, below 12), as when nothing
    changed, no end is nearer than Stringer's over originals either: one in 1 / (1 - q), q = ((1 - confidence) / 2) **
    (1 / m), may lose all, and none of m have been met. Ten originals that lose nothing exclude a mean loss of .31,
    20 of .17, 40 of .09, and it takes 183 to exclude .02. Where originals vary, a rarer one that loses far more than
    all that were met is not covered.

    >>> round(share_difference([0] * 49 + [1]).estimate, 3)
    0.02
    """
    _validate.proportion("confidence", confidence)
    values = np.asarray(difference, dtype=np.float64)
    if values.ndim != 1 or not values.size or not (np.abs(values) <= 1).all():
        raise ValueError(f"`difference` must be numbers [n] from -1 to 1, at least one, got shape {values.shape}.")
    pooled = _newcombe(values, confidence)
    if original is None:
        return pooled
    labels, unit = _validate.codes("original", original, size=values.size)
    return pooled if labels.size == 1 else _of_originals(values, unit, pooled)


def _of_originals(values: Floats, unit: NDArray[np.intp], pooled: Interval) -> Interval:
    """Over originals' means [m]; where they hardly differ, not nearer than `pooled` over all units, nor Stringer's."""
    means = np.bincount(unit, values) / np.bincount(unit)
    m, confidence = means.size, pooled.confidence
    if m < MIN_ORIGINALS:
        note = f"no interval: at least {MIN_ORIGINALS} originals are needed, got {m}"
        return Interval(float(means.mean()), None, None, confidence, m, "none", note)
    found = mean_interval(means, confidence=confidence)
    if not nearly_alike(means):
        return found
    found = _not_nearer(found, pooled)
    return difference_not_nearer_than_stringer(found, means) if too_few(units_that_vary(values, unit), m) else found


def _not_nearer(found: Interval, pooled: Interval) -> Interval:
    below, above = (
        max(abs(own - found.estimate), abs(other - pooled.estimate))
        for own, other in ((found.low, pooled.low), (found.high, pooled.high))
        if own is not None and other is not None
    )
    method = f"{found.method}, not nearer than Newcombe over records as few differ"
    low, high = max(-1.0, found.estimate - below), min(1.0, found.estimate + above)
    return replace(found, low=low, high=high, method=method)


def _newcombe(values: Floats, confidence: float) -> Interval:
    n, estimate, tail = len(values), float(values.mean()), (1 - confidence) / 2
    lost, gained = (_ends(float(part.sum()), n, tail) for part in (np.maximum(values, 0), np.maximum(-values, 0)))
    (worse, worse_low, worse_high), (better, better_low, better_high) = lost, gained
    low = estimate - math.hypot(worse - worse_low, better_high - better)
    high = estimate + math.hypot(worse_high - worse, better - better_low)
    return Interval(estimate, max(-1.0, low), min(1.0, high), confidence, n, "Newcombe")


def _ends(total: float, n: int, tail: float) -> tuple[float, float, float]:
    """Share, and Clopper and Pearson's ends, of `total` successes, which need not be a whole number."""
    low = float(betaincinv(total, n - total + 1, tail)) if total > 0 else 0.0
    high = float(betaincinv(total + 1, n - total, 1 - tail)) if total < n else 1.0
    return total / n, low, high
