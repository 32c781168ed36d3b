"""The sums of the two-sample U-statistic behind the AUC, by original, in O(Q log Q).

psi(x, y) = 1, 1/2 or 0 as the deleted score x is above, equal to or below the unseen score y. All sums are
multiples of 1/2 below 2^52, hence exact in float64, in any order of summation.
"""

from dataclasses import dataclass

import numpy as np

from aftertrace.statistics._validate import Bools, Floats, Ints


def ranks(key: Floats | Ints) -> Ints:
    """Dense ranks from 0, equal for equal keys. Infinities are ordinary scores. [Q] -> [Q]"""
    return np.unique(key, return_inverse=True)[1].astype(np.int64, copy=False)


def wins(rank: Ints, is_deleted: Bools) -> Floats:
    """For each query the sum of psi against all queries of the other role. [Q], [Q] -> [Q]"""
    deleted = np.bincount(rank[is_deleted], minlength=int(rank.max()) + 1)
    unseen = np.bincount(rank[~is_deleted], minlength=deleted.size)
    beaten = np.cumsum(unseen) - 0.5 * unseen
    beaten_by = deleted.sum() - np.cumsum(deleted) + 0.5 * deleted
    return np.where(is_deleted, beaten[rank], beaten_by[rank])


def two_sample_wins(positive: Floats, negative: Floats) -> tuple[Floats, Floats]:
    """`wins` of the positives and of the negatives: below each positive, above each negative. `[P]`, `[n]`"""
    is_positive = np.arange(positive.size + negative.size) < positive.size
    win = wins(ranks(np.concatenate([positive, negative])), is_positive)
    return win[is_positive], win[~is_positive]


@dataclass(frozen=True, eq=False)
class Concordance:
    """Counts of queries and sums of psi for `m` originals, each `[m]`.

    `row`: this original's deleted against all unseen; `column`: all deleted against its unseen; `within`: its own
    against its own.
    """

    deleted: Ints
    unseen: Ints
    row: Floats
    column: Floats
    within: Floats

    @property
    def comparisons(self) -> int:
        return int(self.deleted.sum()) * int(self.unseen.sum())

    @property
    def auc(self) -> float:
        return float(self.row.sum()) / self.comparisons

    def leave_one_out(self) -> Floats:
        """The AUC without each original; NaN where a role vanishes with it. [m]"""
        total = self.row.sum() - self.row - self.column + self.within
        return _ratio(total, (self.deleted.sum() - self.deleted) * (self.unseen.sum() - self.unseen))

    def by_original(self) -> Floats:
        """The AUC inside each original; NaN where it lacks a role. [m]"""
        return _ratio(self.within, self.deleted * self.unseen)


def concordance(score: Floats, is_deleted: Bools, original: Ints, m: int) -> Concordance:
    """The sums for queries `[Q]` of originals numbered from 0 to m - 1."""
    rank = ranks(score)
    win = wins(rank, is_deleted)
    deleted = np.bincount(original[is_deleted], minlength=m)
    unseen = np.bincount(original[~is_deleted], minlength=m)
    # Ranks by (original, score): what a deleted query beats are all unseen ones of earlier originals and its own.
    nested = wins(ranks(original * (rank.max() + 1) + rank), is_deleted) - (np.cumsum(unseen) - unseen)[original]

    def sums(value: Floats) -> Floats:
        return np.bincount(original, weights=value, minlength=m).astype(np.float64, copy=False)

    return Concordance(
        deleted=deleted,
        unseen=unseen,
        row=sums(np.where(is_deleted, win, 0.0)),
        column=sums(np.where(is_deleted, 0.0, win)),
        within=sums(np.where(is_deleted, nested, 0.0)),
    )


def _ratio(numerator: Floats, denominator: Ints) -> Floats:
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)
