"""Bootstrap intervals of the pooled AUC: over originals x records for fixed pools, and over originals for display."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtr, ndtri, stdtrit

from aftertrace.statistics import _validate
from aftertrace.statistics._alike import not_nearer_than_stringer
from aftertrace.statistics._clopper_pearson import clopper_pearson
from aftertrace.statistics._concordance import Concordance, concordance, ranks
from aftertrace.statistics._jackknife import MIN_ORIGINALS
from aftertrace.statistics._records import Interval
from aftertrace.statistics._validate import Bools, Floats, Ints

BLOCK_BYTES = 8 * 2**20  # of one array of weights

Weights = Callable[[int], Floats]
"""Draws `[B, Q]` weights of the queries for `B` replicates."""


def auc_interval_two_way(
    score: ArrayLike,
    is_deleted: ArrayLike,
    original: ArrayLike,
    record: ArrayLike,
    *,
    rng: np.random.Generator,
    n_boot: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """AUC pooled over queries where pools are fixed: the pigeonhole bootstrap over originals x records.

    `score` [Q], larger: more likely deleted; `is_deleted` [Q] bool; `original`, `record` [Q]. For designs where the
    same records are deleted or unseen in several originals, as in the paper's fixed pools, or where one unseen set
    serves several pairs: queries that share an original or a record depend on each other. Originals and records are
    each resampled with replacement, independently; a query weighs the product. The interval is for new originals and
    new records: estimate on the logit scale +- t times the standard deviation of the replicates, with one degree of
    freedom less than there are originals, or records of a role if fewer.

    Conservative: no exact bootstrap of crossed data exists (McCullagh), and this one counts the variance of originals
    and of records once but that of their interaction three times. Measured at 95 %, AUC .5 and .8, 6 to 20 originals on
    10 to 40 records of a role: covers 97 to 98 % with an effect of the records (where `auc_interval` covers 41 to
    80 %), 98 to 100 % without any, close to 100 % with 6 originals.

    Conventions as in `auc_interval`: no interval below 6 originals (or records of a role); Stringer's bounds where
    nearly all originals, or records, are alike; at an AUC of 0 or 1 Clopper-Pearson's, with one trial per original or
    record of a role, whichever is fewest. Replicates in which a role got no weight are left out.

    Source: A. Owen, Ann. Appl. Stat. 1 (2007); P. McCullagh, Bernoulli 6 (2000). O(n_boot Q), in blocks of at most
    8 MB. Raises `ValueError` for NaN, a role without queries, arrays that do not fit or `n_boot` below 100.
    """
    data = _sample(score, is_deleted, original, n_boot=n_boot, confidence=confidence)
    _, record_code = _validate.codes("record", record, size=data.score.size)
    R = int(record_code.max()) + 1
    units = min(data.m, *(np.unique(record_code[role]).size for role in (data.is_deleted, ~data.is_deleted)))
    none = Interval(data.auc, None, None, confidence, units, "pigeonhole bootstrap over originals x records")
    if (edge := without_resampling(none, "originals and records of each role")) is not None:
        return edge

    def weights(B: int) -> Floats:
        return _counts(rng, B, data.m)[:, data.original] * _counts(rng, B, R)[:, record_code]

    theta = logit(np.clip(_replicates(data, weights, n_boot), data.edge, 1 - data.edge))
    half = stdtrit(units - 1, (1 + confidence) / 2) * theta.std(ddof=1)
    low, high = expit(logit(data.auc) + np.array([-half, half])).tolist()
    by_record = concordance(data.score, data.is_deleted, record_code, R).by_unit()
    return not_nearer_than_stringer(replace(none, low=low, high=high), *data.sums.by_unit(), *by_record)


def percentile_by_original(
    score: ArrayLike,
    is_deleted: ArrayLike,
    original: ArrayLike,
    *,
    rng: np.random.Generator,
    n_boot: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap of the pooled AUC over originals, expanded: secondary, for comparison with other tools.

    Arguments, edge cases and errors as in `auc_interval_two_way` without records. Measured at 95 %, it covers
    93 to 94 % with 10 originals, 94 to 95 % with 30, and less near an AUC of 1 (.985: 88 and 91 %). Source: B. Efron,
    Ann. Stat. 7 (1979).
    """
    data = _sample(score, is_deleted, original, n_boot=n_boot, confidence=confidence)
    none = Interval(data.auc, None, None, confidence, data.m, "percentile bootstrap over originals")
    if (edge := without_resampling(none, "originals")) is not None:
        return edge
    values = _by_original(data, rng, n_boot)
    return _quantiles(none, values, ndtr(_expanded(data.m, confidence)), data)


def bca_by_original(
    score: ArrayLike,
    is_deleted: ArrayLike,
    original: ArrayLike,
    *,
    rng: np.random.Generator,
    n_boot: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Bias-corrected and accelerated bootstrap over originals, expanded: secondary, for comparison with other tools.

    Arguments, edge cases and errors as in `percentile_by_original`; where one original holds all queries of a role
    there is no interval. Ties with the estimate count half in the bias correction; the acceleration is from the
    jackknife. Measured at 95 %, it covers 94 to 95 % with 10 originals, 95 to 96 % with 30, and less near an AUC of 1
    (.985: 90 and 93 %). Source: B. Efron, J. Am. Stat. Assoc. 82 (1987).
    """
    data = _sample(score, is_deleted, original, n_boot=n_boot, confidence=confidence)
    none = Interval(data.auc, None, None, confidence, data.m, "bca over originals")
    if (edge := without_resampling(none, "originals")) is not None:
        return edge
    without = data.sums.leave_one_out()
    if np.isnan(without).any():
        return replace(none, note="no interval: one original holds all queries of a role")
    values = _by_original(data, rng, n_boot)
    below = np.mean(values < data.auc - 1e-12) + 0.5 * np.mean(np.abs(values - data.auc) <= 1e-12)
    bias = ndtri(np.clip(below, 1 / n_boot, 1 - 1 / n_boot))
    pull = without.mean() - without
    spread = float(np.sum(pull**2)) ** 1.5
    acceleration = float(np.sum(pull**3)) / (6 * spread) if spread > 0 else 0.0
    z = bias + _expanded(data.m, confidence)
    return _quantiles(none, values, ndtr(bias + z / (1 - acceleration * z)), data)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Queries `[Q]` of originals numbered from 0 to m - 1, and the sums behind their AUC."""

    score: Floats
    is_deleted: Bools
    original: Ints
    sums: Concordance

    @property
    def m(self) -> int:
        return self.sums.deleted.size

    @property
    def auc(self) -> float:
        return self.sums.auc

    @property
    def edge(self) -> float:
        """Half a comparison: how far from 0 and 1 a replicate's AUC is kept."""
        P = int(self.is_deleted.sum())
        return 1 / (2 * P * (self.is_deleted.size - P))


def _sample(score: ArrayLike, is_deleted: ArrayLike, original: ArrayLike, *, n_boot: int, confidence: float) -> _Sample:
    _validate.proportion("confidence", confidence)
    if n_boot < 100:
        raise ValueError(f"`n_boot` must be at least 100, got {n_boot}.")
    values = _validate.scores("score", score, at_least=0)
    deleted = _validate.flags("is_deleted", is_deleted, size=values.size)
    _validate.both_roles(deleted)
    labels, code = _validate.codes("original", original, size=values.size)
    return _Sample(values, deleted, code, concordance(values, deleted, code, labels.size))


def without_resampling(none: Interval, units: str) -> Interval | None:
    """The conventions for few units and for perfect separation."""
    if none.n < MIN_ORIGINALS:
        return replace(none, note=f"no interval: at least {MIN_ORIGINALS} {units} are needed, got {none.n}")
    if none.estimate in (0.0, 1.0):
        exact = clopper_pearson(none.n if none.estimate else 0, none.n, confidence=none.confidence)
        return replace(exact, method=f"clopper-pearson on {units}")
    return None


def _counts(rng: np.random.Generator, B: int, units: int) -> Floats:
    """How often each unit is drawn in each of `B` resamples. [B, units]"""
    return rng.multinomial(units, np.full(units, 1 / units), size=B).astype(np.float64)


def _by_original(data: _Sample, rng: np.random.Generator, n_boot: int) -> Floats:
    return _replicates(data, lambda B: _counts(rng, B, data.m)[:, data.original], n_boot)


def _replicates(data: _Sample, weights: Weights, n_boot: int) -> Floats:
    """The weighted AUC of each replicate that has both roles. [<= n_boot]"""
    rank = ranks(data.score)
    order = np.argsort(rank, kind="stable")
    start = np.searchsorted(rank[order], np.arange(int(rank.max()) + 1))
    deleted = data.is_deleted[order]
    rows = max(1, BLOCK_BYTES // (8 * rank.size))
    blocks = [
        _weighted_auc(weights(min(rows, n_boot - first))[:, order], deleted, start) for first in range(0, n_boot, rows)
    ]
    values = np.concatenate(blocks)
    return values[~np.isnan(values)]


def _weighted_auc(weight: Floats, is_deleted: Bools, start: Ints) -> Floats:
    """AUC under each row of `weight` [B, Q], queries by ascending score, equal scores beginning at `start`. [B]"""
    deleted = np.add.reduceat(weight * is_deleted, start, axis=1)
    unseen = np.add.reduceat(weight * ~is_deleted, start, axis=1)
    total = deleted.sum(axis=1) * unseen.sum(axis=1)
    beaten = np.cumsum(unseen, axis=1)
    beaten -= 0.5 * unseen
    win = np.einsum("bt,bt->b", deleted, beaten)
    return np.divide(win, total, out=np.full(total.size, np.nan), where=total > 0)


def _expanded(m: int, confidence: float) -> Floats:
    """Ends of an interval as normal scores: those of t, times sqrt(m / (m - 1)), as resamples of few units vary less.

    Source: T. Hesterberg, What Teachers Should Know About the Bootstrap, Am. Stat. 69 (2015), section 4.
    """
    return np.array([-1, 1]) * math.sqrt(m / (m - 1)) * stdtrit(m - 1, (1 + confidence) / 2)


def _quantiles(none: Interval, values: Floats, levels: Floats, data: _Sample) -> Interval:
    low, high = np.quantile(values, levels).tolist()
    return not_nearer_than_stringer(replace(none, low=low, high=high), *data.sums.by_unit())
