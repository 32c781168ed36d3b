"""The exact interval for a probability."""

from operator import index

from scipy.special import betaincinv

from aftertrace.statistics import _validate
from aftertrace.statistics._records import Interval


def clopper_pearson(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval for a probability from `k` successes in `n` independent trials of equal probability.

    Covers at least `confidence` for every probability, each side at most half of the rest. Does not cover trials that
    depend on each other, as records queried at one model do when the claim is about new models. Source: C. Clopper,
    E. Pearson, Biometrika 26 (1934). Raises `ValueError` unless `0 <= k <= n` and `n >= 1`,
    `TypeError` for counts that are not whole numbers.

    >>> interval = clopper_pearson(0, 10)
    >>> interval.low, round(interval.high, 4)
    (0.0, 0.3085)
    """
    _validate.proportion("confidence", confidence)
    k, n = index(k), index(n)
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n}.")
    if not 0 <= k <= n:
        raise ValueError(f"`k` must lie between 0 and `n` = {n}, got {k}.")
    tail = (1 - confidence) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Interval(k / n, low, high, confidence, n, "clopper-pearson")
