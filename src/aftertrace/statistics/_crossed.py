"""The interval for originals x records that the two-way bootstrap gives with infinitely many resamples, in one pass."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, stdtrit

from aftertrace.statistics import _validate
from aftertrace.statistics._alike import not_nearer_than_stringer
from aftertrace.statistics._bootstrap import without_resampling
from aftertrace.statistics._concordance import concordance, ranks, wins
from aftertrace.statistics._records import Interval
from aftertrace.statistics._validate import Floats, Ints

METHOD = "originals x records"


def auc_interval_crossed(
    score: ArrayLike, is_deleted: ArrayLike, original: ArrayLike, record: ArrayLike, *, confidence: float = 0.95
) -> Interval:
    """AUC pooled over queries where roles are tied to records: for new originals and new records, without resampling.

    Arguments, design, conventions and errors as `auc_interval_two_way`, whose standard deviation on the logit scale
    this is to first order: with a query's influence on the AUC (its placement less the AUC, over the number of its
    role), the squares of the influence's sums over each original, each record, and each of their meetings are added up.
    As conservative as the bootstrap, since the variance of meetings enters three times. Where nearly all originals, or
    nearly all records, are alike, no end is nearer than Stringer's bound for either. O(Q log Q).

    Source: A. Owen, Ann. Appl. Stat. 1 (2007), on the variance of the pigeonhole bootstrap; placements: DeLong (1988).
    """
    _validate.proportion("confidence", confidence)
    values = _validate.scores("score", score, at_least=0)
    deleted = _validate.flags("is_deleted", is_deleted, size=values.size)
    _validate.both_roles(deleted)
    labels, unit = _validate.codes("original", original, size=values.size)
    known, own = _validate.codes("record", record, size=values.size)
    size = np.where(deleted, deleted.sum(), values.size - deleted.sum())  # of the query's role
    placement = wins(ranks(values), deleted) / (values.size - size)
    estimate = float(placement[deleted].mean())
    units = min(labels.size, *(np.unique(own[role]).size for role in (deleted, ~deleted)))
    none = Interval(estimate, None, None, confidence, units, METHOD)
    if (edge := without_resampling(none, "originals and records of each role")) is not None:
        return edge
    influence = (placement - estimate) / size
    meeting = unit * known.size + own
    error = math.sqrt(sum(_squares(influence, of) for of in (unit, own, np.unique(meeting, return_inverse=True)[1])))
    half = stdtrit(units - 1, (1 + confidence) / 2) * error / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + np.array([-half, half])).tolist()
    sums = (concordance(values, deleted, of, len(names)) for of, names in ((unit, labels), (own, known)))
    alike = (sample for each in sums for sample in each.by_unit())
    return not_nearer_than_stringer(replace(none, low=low, high=high), *alike)


def _squares(influence: Floats, of: Ints) -> float:
    return float((np.bincount(of, influence) ** 2).sum())
