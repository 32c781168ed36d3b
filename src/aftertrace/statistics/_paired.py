"""The difference of two attacks' AUCs on the same records of a single pair of models."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from aftertrace.statistics import _validate
from aftertrace.statistics._alike import difference_not_nearer_than_stringer
from aftertrace.statistics._concordance import ranks, wins
from aftertrace.statistics._cross_fitted import widening
from aftertrace.statistics._records import Interval
from aftertrace.statistics._validate import Bools, Floats

METHOD = "paired delong over records, conditional on the pair"

FEW = 0.25
"""By so much two scores may part, to either side, on records not met; chosen by simulation."""


@dataclass(frozen=True)
class AucDifference:
    """`interval` of the difference, and `p_value` of the two-sided test that there is none; both None together.

    At the interval's confidence both agree: p is at most 1 - confidence just where zero is outside.
    """

    interval: Interval
    p_value: float | None


def auc_difference_one_pair(
    score: ArrayLike, other: ArrayLike, is_deleted: ArrayLike, *, confidence: float = 0.95, folds: int | None = None
) -> AucDifference:
    """AUC of `score` less that of `other`, at the same records of one pair of models.

    `score`, `other` [Q]; `is_deleted` [Q] bool. The unit is the record, as in `auc_interval_one_pair`: conditional on
    the pair, records independent of each other. `folds`: of scores learned from these very queries, for which the
    interval is widened as by `cross_fitted_interval`. `n` in the result is Q. With a single record of a role there is
    no interval.

    The variance of the differences of placements, with Student's t and one degree of freedom less than the rarer role
    has records. At high AUCs few records carry the difference, so the variance of a role counts at least as if two
    records more differed, by 1/4 and -1/4: measured with 10 to 40 deleted at AUCs to .99, 96 to 100 % are covered, and
    83 to 97 % without. Where nearly all placements of a role are the same by both scores, no end is nearer than
    Stringer's.

    Source: E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988). Raises `ValueError` for NaN, a role without
    queries or arrays that do not fit.
    """
    _validate.proportion("confidence", confidence)
    deleted = _validate.flags("is_deleted", is_deleted)
    _validate.both_roles(deleted)
    difference = _placements("score", score, deleted) - _placements("other", other, deleted)
    roles = difference[deleted], difference[~deleted]
    fewest = min(each.size for each in roles)
    none = Interval(float(roles[0].mean()), None, None, confidence, deleted.size, METHOD)
    if fewest < 2:
        return AucDifference(replace(none, note="no interval: at least 2 records of each role are needed, got 1"), None)
    error = math.sqrt(sum(_of_few(each) / each.size for each in roles)) * (1 if folds is None else widening(folds))
    quantile = float(stdtrit(fewest - 1, (1 + confidence) / 2))
    low, high = none.estimate - quantile * error, none.estimate + quantile * error
    interval = difference_not_nearer_than_stringer(replace(none, low=low, high=high), *roles)
    return AucDifference(interval, _p_value(interval, quantile, fewest - 1))


def _of_few(differences: Floats) -> float:
    """Their variance, at least that with two records added on which the scores part by FEW, to either side."""
    return float(max(each.var(ddof=1) for each in (differences, np.append(differences, [-FEW, FEW]))))


def _p_value(interval: Interval, quantile: float, df: int) -> float:
    """From how often the distance to the end on the side of zero fits into that to zero."""
    end = interval.low if interval.estimate > 0 else interval.high
    assert end is not None
    return 2 * float(stdtr(df, -quantile * abs(interval.estimate / (interval.estimate - end))))


def _placements(name: str, score: ArrayLike, deleted: Bools) -> Floats:
    """Of a deleted query the share of unseen ones below, of an unseen one that of deleted ones above. [Q]"""
    values = _validate.scores(name, score, at_least=0)
    if values.shape != deleted.shape:
        raise ValueError(f"`{name}` must have shape {deleted.shape}, one value per query, got {values.shape}.")
    return wins(ranks(values), deleted) / np.where(deleted, (~deleted).sum(), deleted.sum())
