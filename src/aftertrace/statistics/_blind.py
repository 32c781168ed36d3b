"""The blind control: are deleted and unseen records told apart without any model?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aftertrace._numbering import by_appearance
from aftertrace.statistics import _validate
from aftertrace.statistics._roc import auc
from aftertrace.statistics._validate import Bools, Floats, Ints

PERMUTATIONS = 999
MOST_QUERIES = 10_000
"""Of more, so many are drawn."""
_FOLDS = 5
_AT_ONCE = 100  # permutations: all at once would take hundreds of MiB
_PRODUCTS = 20  # features up to which all products of two are looked at; of more, squares


@dataclass(frozen=True)
class BlindTest:
    """`auc` of the cross-fitted score, and `p_value` of the permutation test, over `n` queries."""

    auc: float
    p_value: float
    n: int


def blind_test(
    x: ArrayLike | None,
    label: ArrayLike,
    is_deleted: ArrayLike,
    block: ArrayLike,
    record: ArrayLike,
    *,
    rng: np.random.Generator,
) -> BlindTest:
    """Do the records themselves tell who was deleted? Then no model is to blame, and scores are confounded.

    `x` [Q, F] features, or None; `label` [Q] classes; `is_deleted` [Q] bool; `block` [Q], within which roles are
    exchangeable if deleted and unseen records were drawn alike (the original; one pair: all); `record` [Q].

    Two statistics: how much of the roles, less their mean in the block, a ridge regression explains on the standardised
    features and the class, and on these with squares and, of few features, products. Their laws under exchangeable
    roles come from 999 permutations of the roles within blocks; `p_value` is that of the smaller of both p-values
    (Tippett), by the same permutations. It is exact whatever the records are. `auc` is for the reader: of a ridge
    score in five folds by record, below one half by chance where there is nothing.

    Catches other means, variances, correlations and class mixes; not a difference that these do not show. Raises
    `ValueError` for arrays that do not fit or NaN.
    """
    deleted = _validate.flags("is_deleted", is_deleted)
    _validate.both_roles(deleted)
    _, unit = _validate.codes("block", block, size=deleted.size)
    own, _ = by_appearance(_validate.codes("record", record, size=deleted.size)[1])
    _, kind = _validate.codes("label", label, size=deleted.size)
    features = checked_features(x, deleted.size)
    rows = np.sort(rng.permutation(deleted.size)[:MOST_QUERIES])
    designs = [(each, gram(each)) for each in record_designs(features[rows], kind[rows])]
    role = _centred(deleted[rows], unit[rows])
    explained = [explained_by(designs, role[:, None])]
    for start in range(0, PERMUTATIONS, _AT_ONCE):
        permuted = _permuted(role, unit[rows], min(_AT_ONCE, PERMUTATIONS - start), rng)
        explained.append(explained_by(designs, permuted))
    p_values = np.stack([_p_values(each) for each in np.concatenate(explained, axis=1)])
    fold = rng.permutation(int(own.max()) + 1)[own[rows]] % _FOLDS
    score, seen = _cross_fitted(designs[0][0], role, fold), deleted[rows]
    told = float(auc(score[seen], score[~seen])) if seen.any() and not seen.all() else 0.5
    return BlindTest(told, float(_p_values(-p_values.min(axis=0))[0]), len(rows))


def checked_features(x: ArrayLike | None, size: int) -> Floats:
    """`x` as float64 [size, F]; no features where there is None."""
    features = np.zeros((size, 0)) if x is None else np.asarray(x, dtype=np.float64)
    if features.ndim != 2 or len(features) != size or not np.isfinite(features).all():
        raise ValueError(f"`x` must hold a row of finite numbers per query [{size}], got {features.shape}.")
    return features


def record_designs(x: Floats, kind: Ints) -> tuple[Floats, Floats]:
    """Standardised columns that vary: features and class, and these with squares and products. -> [Q, D], [Q, D']"""
    z = _standardised(x)
    plain = _standardised(np.column_stack([z, (kind[:, None] == np.unique(kind)).astype(np.float64)]))
    first, second = np.triu_indices(z.shape[1]) if z.shape[1] <= _PRODUCTS else [np.arange(z.shape[1])] * 2
    return plain, _standardised(np.column_stack([plain, z[:, first] * z[:, second]]))


def _standardised(x: Floats) -> Floats:
    away = x - x.mean(axis=0)
    spread = away.std(axis=0)
    varies = spread > 1e-9 * (1 + np.abs(x).max(axis=0, initial=0))
    return np.clip(away[:, varies] / spread[varies], -10, 10)  # a single far record must not rule


def explained_by(designs: Sequence[tuple[Floats, Floats]], roles: Floats) -> Floats:
    """What a ridge regression on each design, given with its Gram matrix, explains of `roles` [Q, B]. -> [2, B]"""
    out = np.zeros((len(designs), roles.shape[1]))
    for k, (design, penalised) in enumerate(designs):
        if design.shape[1]:
            moment = design.T @ roles
            out[k] = (moment * np.linalg.solve(penalised, moment)).sum(axis=0)
    return out


def gram(design: Floats) -> Floats:
    """With the penalty of the ridge. [D, D]"""
    return design.T @ design + 0.1 * len(design) * np.eye(design.shape[1])


def _p_values(statistic: Floats) -> Floats:
    """Of each column among all: the share that is at least as large, itself among them. [B] -> [B]"""
    rounded = np.round(statistic, 9)  # permutations that change nothing differ by rounding
    return 1 - np.searchsorted(np.sort(rounded), rounded, side="left") / len(rounded)


def _centred(deleted: Bools, unit: Ints) -> Floats:
    """The roles, less their mean in the block. [Q]"""
    value = deleted.astype(np.float64)
    return value - (np.bincount(unit, weights=value) / np.maximum(np.bincount(unit), 1))[unit]


def _permuted(role: Floats, unit: Ints, count: int, rng: np.random.Generator) -> Floats:
    """So many permutations of `role` [Q] within blocks. [Q, count]"""
    order, size = np.argsort(unit, kind="stable"), np.bincount(unit)
    length = size[unit[order]]
    out = np.empty((len(role), count))
    for each in np.unique(size):  # blocks of one size at once
        blocks = order[length == each].reshape(-1, each)
        drawn = rng.permuted(np.broadcast_to(role[blocks], (count, *blocks.shape)), axis=2)
        out[blocks.ravel()] = drawn.reshape(count, -1).T
    return out


def _cross_fitted(design: Floats, role: Floats, fold: NDArray[np.integer]) -> Floats:
    """Ridge score [Q] of every query by the fit to the other folds."""
    score = np.zeros(len(role))
    for k in range(_FOLDS):
        outside = design[fold != k]
        if len(outside) and design.shape[1]:
            score[fold == k] = design[fold == k] @ np.linalg.solve(gram(outside), outside.T @ role[fold != k])
    return score
