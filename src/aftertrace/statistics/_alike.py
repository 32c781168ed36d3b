"""Where nearly all units are alike: the bounds by which auditors judge books that hold few errors."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from aftertrace.statistics._records import Interval
from aftertrace.statistics._validate import Floats

FEWEST_DIFFERING = 6
"""From so many units that differ on, their variance is trusted, as intervals are given from 6 originals on."""


def not_nearer_than_stringer(interval: Interval, *samples: Floats) -> Interval:
    """`interval`, wider where nearly all units are alike, so that their variance says nothing.

    Each of `samples` holds a value in 0..1 for every unit [m], whose mean is what the interval is for. Where most of
    them are equal and fewer than 6 differ, a variance would give an interval of little or no width, as if units of
    another kind did not exist because none was met: with six originals that leak nothing and a chance of .05 that one
    leaks all, the mean is .525 and the interval would be .5 to .5. There no end is nearer than Stringer's: with c the
    value of most, j-th largest excess t_j = (value - c) / (1 - c), and p_j Clopper and Pearson's upper end for j of m,

        high = c + (1 - c) (p_0 + (p_1 - p_0) t_1 + (p_2 - p_1) t_2 + ...), and `low` likewise.

    Of units that are all alike it is exact whatever the law: no mean beyond it gives m equal units with more than the
    error of one side. At c = 0 or 1 that is Clopper and Pearson's interval. Units that differ count by how much; if
    each differs by all that is possible, the bound is theirs again. Between, it is not proved, but no case is known
    in which it does not hold.

    Source: K. Stringer (1963); P. Bickel, Inference and Auditing: the Stringer Bound, Int. Stat. Rev. 60 (1992).
    """
    if interval.low is None or interval.high is None:
        return interval
    tail = (1 - interval.confidence) / 2
    bounds = [(1 - _upper(1 - each, tail), _upper(each, tail)) for each in samples if nearly_alike(each)]
    low = min([interval.low, *(low for low, _ in bounds)])
    high = max([interval.high, *(high for _, high in bounds)])
    if (low, high) == (interval.low, interval.high):
        return interval
    return replace(interval, low=low, high=high, method=f"{interval.method}, Stringer's bounds as few differ")


def difference_not_nearer_than_stringer(interval: Interval, *samples: Floats) -> Interval:
    """The same for means of differences: values in -1..1 count as shares (1 + value) / 2, within -1..1 at the end."""
    if interval.low is None or interval.high is None:
        return interval
    estimate, low, high = ((1 + each) / 2 for each in (interval.estimate, interval.low, interval.high))
    share = not_nearer_than_stringer(
        replace(interval, estimate=estimate, low=low, high=high), *((1 + each) / 2 for each in samples)
    )
    low, high = (2 * end - 1 for end in (share.low, share.high) if end is not None)
    return replace(share, estimate=interval.estimate, low=max(-1.0, low), high=min(1.0, high))


def units_needed(alike: float, limit: float, *, confidence: float) -> int:
    """How many units that are all alike exclude that the mean is `limit`, in 0..1 and not `alike`."""
    left = (1 - limit) / (1 - alike) if limit > alike else limit / alike
    return 1 if left <= 0 else int(np.ceil(np.log((1 - confidence) / 2) / np.log(left)))


def nearly_alike(values: Floats) -> bool:
    """Whether most of values [m] are equal and fewer than 6 differ."""
    differing = values.size - np.unique(_rounded(values), return_counts=True)[1].max()
    return too_few(int(differing), values.size)


def too_few(differing: int, size: int) -> bool:
    """Whether of `size` units so many that differ say nothing about the rest: fewer than 6, and than half."""
    return differing < min(FEWEST_DIFFERING, size / 2)


def units_that_vary(values: Floats, unit: NDArray[np.intp]) -> int:
    """In how many units not all of their own values are equal; `values` [n] of `unit` [n] 0..m-1."""
    distinct = np.unique(np.stack([unit, _rounded(values)]), axis=1)[0].astype(np.intp)
    return int((np.bincount(distinct) > 1).sum())


def _upper(values: Floats, tail: float) -> float:
    """Stringer's upper bound for the mean of values [m] in 0..1, most of which are equal."""
    value, count = np.unique(_rounded(values), return_counts=True)
    most = float(value[count.argmax()])
    excess = np.sort(values[_rounded(values) > most] - most)[::-1]
    ends = betaincinv(np.arange(excess.size + 1) + 1, values.size - np.arange(excess.size + 1), 1 - tail)
    return most + float((1 - most) * ends[0] + np.diff(ends) @ excess)


def _rounded(values: Floats) -> Floats:
    """What differs by rounding is alike."""
    return np.round(values, 9)
