"""Matching: the deleted and unseen queries that can be compared, where the blind control says that not all can."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aftertrace.statistics import _validate
from aftertrace.statistics._blind import checked_features, explained_by, gram, record_designs
from aftertrace.statistics._validate import Bools, Floats, Ints

_BALANCED = 0.8
"""The p-value from which queries count as matched: with .5, 95 % intervals of a null score held in 87 % (simulated)."""
_STRENGTHS = 10.0 ** np.arange(-3, 1, 0.5)  # scikit-learn's `C`
_RATIOS = 101  # tried, of unseen to deleted


@dataclass(frozen=True, eq=False)
class Matching:
    """Which queries are comparable: `keep` [Q], with `deleted` and `unseen` kept and `dropped_...` left out."""

    keep: Bools
    deleted: int
    unseen: int
    dropped_deleted: int
    dropped_unseen: int


def matched_queries(
    x: ArrayLike | None, label: ArrayLike, is_deleted: ArrayLike, *, rng: np.random.Generator
) -> Matching:
    """Leave out queries until deleted and unseen ones have the same classes, and features alike.

    `x` [Q, F] features, or None; `label` [Q] classes; `is_deleted` [Q] bool. Queries are put into bins: first by class
    alone; then, within a class, by a logistic regression of the role on what the blind test looks at (class, features,
    squares and products), with ever weaker penalty: those within the range of both roles are ranked and cut into bins,
    as many as queries of the rarer role in each. In every bin the role in excess is thinned at random to one ratio of
    unseen to deleted, the same everywhere: the one that keeps most precision. The first set of queries is taken for
    which both statistics of the blind test have p >= .8; if there is none, all are dropped: nothing is comparable.
    Without features, classes are all there is, and no such test is made.

    Guaranteed: neither posteriors nor scores are looked at, so a leak is neither made nor hidden; the ratio of roles
    is the same in every class, to within half a query a bin. Not guaranteed: that what the regression does not see
    is alike. The regression is fitted to the very queries that it balances, and stopped by their balance: those kept
    are *more* alike than by chance in what was looked at. So a blind test that passes afterwards says "nothing is left
    of what it can see", never "drawn alike", and intervals of scores that follow the features become conservative.

    Comparable queries are left out too, where bins hold other ratios by chance: a fifth of the precision of 300 queries
    a role with 6 features, an eighth of 2 000. With more columns than queries little or nothing is kept: 20 features
    make 230, which leave a third of the precision of 100 queries a role drawn alike, and nothing in one of six audits.
    Memory: 8 Q bytes for each column; of more than 20 features each makes two.

    Sources: P. Rosenbaum, D. Rubin, JASA 79 (1984), subclassification on the propensity score; D. Ho, K. Imai, G. King,
    E. Stuart, Political Analysis 15 (2007), balance is a property of the sample, and may be tried for as long as no
    outcome is seen. Thinning instead of weights is ours: figures downstream take no weights. Raises `ValueError` for
    arrays that do not fit or NaN.
    """
    deleted = _validate.flags("is_deleted", is_deleted)
    _validate.both_roles(deleted)
    _, kind = _validate.codes("label", label, size=deleted.size)
    features = checked_features(x, deleted.size)
    if features.shape[1]:
        tried = (_thinned(bins, deleted, rng) for bins in _binnings(features, kind, deleted, rng))
        balanced = (keep for keep in tried if _is_balanced(features[keep], kind[keep], deleted[keep]))
        keep = next(balanced, np.zeros(deleted.size, dtype=bool))
    else:
        keep = _thinned(kind, deleted, rng)
    kept, total = int((keep & deleted).sum()), int(deleted.sum())
    unseen = int(keep.sum()) - kept
    return Matching(keep, kept, unseen, total - kept, deleted.size - total - unseen)


def _is_balanced(x: Floats, kind: Ints, deleted: Bools) -> bool:
    """Do class and features explain the roles no better than those of four in five random draws?"""
    if not deleted.any() or deleted.all():
        return False
    role = deleted - deleted.mean()
    return all(_p_value(design, role) >= _BALANCED for design in record_designs(x, kind))


def _p_value(design: Floats, role: Floats) -> float:
    """Of one statistic of the blind test: by a chi-square of the same mean and variance, of all queries, at once."""
    from scipy.special import chdtrc

    if not design.shape[1]:
        return 1.0
    penalised = gram(design)
    explained = explained_by([(design, penalised)], role[:, None])[0, 0] / role.var(ddof=1)
    share = np.linalg.solve(penalised, design.T @ design)  # its eigenvalues: what the penalty leaves of each direction
    mean = np.trace(share)
    half_variance = (share * share.T).sum() - mean**2 / (len(role) - 1)  # of roles of fixed length in all directions
    return float(chdtrc(mean**2 / half_variance, explained * mean / half_variance))


def _binnings(x: Floats, kind: Ints, deleted: Bools, rng: np.random.Generator) -> Iterator[Ints]:
    """Bins [Q] that follow the class alone, then the features ever more closely."""
    from sklearn.linear_model import LogisticRegression

    yield kind
    columns = record_designs(x, kind)[1]
    for strength in _STRENGTHS:
        fitted = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000).fit(columns, deleted)
        yield _bins(columns @ fitted.coef_[0], kind, deleted, rng)


def _bins(propensity: Floats, kind: Ints, deleted: Bools, rng: np.random.Generator) -> Ints:
    """In each class, neighbours by propensity; equal ones are dealt at random. [Q]"""
    cell = _cells(propensity, kind, deleted)
    order = np.lexsort((rng.random(kind.size), propensity, cell))
    size, n_deleted = np.bincount(cell), np.bincount(cell[deleted], minlength=int(cell.max()) + 1)
    parts = np.maximum(1, np.sqrt(np.minimum(n_deleted, size - n_deleted)).astype(np.int64))
    place = np.arange(kind.size) - np.repeat(np.cumsum(size) - size, size)
    bins = np.empty(kind.size, dtype=np.int64)
    bins[order] = np.repeat(np.cumsum(parts) - parts, size) + place * np.repeat(parts, size) // np.repeat(size, size)
    return bins


def _cells(propensity: Floats, kind: Ints, deleted: Bools) -> Ints:
    """Class by class: the queries within the range of both roles, those below, those above. [Q]"""
    role, shape = deleted.astype(np.int64), (2, int(kind.max()) + 1)
    lowest, highest = np.full(shape, np.inf), np.full(shape, -np.inf)
    np.minimum.at(lowest, (role, kind), propensity)
    np.maximum.at(highest, (role, kind), propensity)
    low, high = lowest.max(axis=0)[kind], highest.min(axis=0)[kind]
    return 3 * kind + (propensity < low) + 2 * (propensity > high)


def _thinned(bins: Ints, deleted: Bools, rng: np.random.Generator) -> Bools:
    """Which queries to keep so that every bin has the same ratio of roles."""
    n_deleted, n_unseen = (np.bincount(bins[role], minlength=int(bins.max()) + 1) for role in (deleted, ~deleted))
    both = (n_deleted > 0) & (n_unseen > 0)
    if not both.any():
        return np.zeros(deleted.size, dtype=bool)
    ratios = np.unique(np.quantile(n_unseen[both] / n_deleted[both], np.linspace(0, 1, _RATIOS), method="nearest"))
    kept = np.floor(np.minimum(n_deleted, n_unseen / ratios[:, None]) + 1e-9)  # deleted queries, by ratio and bin
    best = int((kept.sum(axis=1) * ratios / (1 + ratios)).argmax())  # 1 / (1 / deleted + 1 / unseen)
    wanted = np.where(deleted, kept[best][bins], np.rint(ratios[best] * kept[best])[bins])
    order = np.lexsort((rng.random(deleted.size), deleted, bins))
    _, first, group = np.unique(2 * bins[order] + deleted[order], return_index=True, return_inverse=True)
    keep = np.zeros(deleted.size, dtype=bool)
    keep[order] = np.arange(deleted.size) - first[group] < wanted[order]
    return keep
