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
    beaten, beaten_by = _beaten(deleted, unseen)
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

    def by_unit(self) -> tuple[Floats, ...]:
        """One number in 0..1 for what each original says of the AUC, such that of unmoved originals all are equal.

        The AUC and the deviations from it of its deleted and of its unseen queries' mean placements [m]; where no
        original holds both roles, placements of those with deleted [<= m] and of those with unseen queries [<= m].
        """
        deleted = _ratio(self.row, self.deleted * int(self.unseen.sum()))
        unseen = _ratio(self.column, self.unseen * int(self.deleted.sum()))
        if not (self.deleted * self.unseen).any():
            return deleted[self.deleted > 0], unseen[self.unseen > 0]
        deviations = np.nan_to_num(deleted - self.auc) + np.nan_to_num(unseen - self.auc)
        return (np.clip(self.auc + deviations, 0, 1),)


def concordance(score: Floats, is_deleted: Bools, original: Ints, m: int) -> Concordance:
    """The sums for queries `[Q]` of originals numbered from 0 to m - 1. The score is sorted once."""
    order = np.argsort(score)
    value, deleted, owner = score[order], is_deleted[order], original[order]
    win = _wins_in_order(deleted, _starts(value))
    counts = [np.bincount(owner[role], minlength=m) for role in (deleted, ~deleted)]

    # By (original, score): what a deleted query beats are all unseen ones of earlier originals and its own.
    few = owner.astype(np.min_scalar_type(m))  # NumPy sorts 16 bits in linear time
    again = np.argsort(few, kind="stable")
    grouped = deleted[again]
    nested = _wins_in_order(grouped, _starts(owner[again], value[again]))
    earlier = np.cumsum(counts[1]) - counts[1]

    def sums(unit: Ints, value: Floats) -> Floats:
        return np.bincount(unit, weights=value, minlength=m).astype(np.float64, copy=False)

    return Concordance(
        deleted=counts[0],
        unseen=counts[1],
        row=sums(owner, np.where(deleted, win, 0.0)),
        column=sums(owner, np.where(deleted, 0.0, win)),
        within=sums(owner[again], np.where(grouped, nested, 0.0)) - counts[0] * earlier,
    )


def _starts(*keys: Floats | Ints) -> Ints:
    """Where runs of equal entries begin, in keys [Q] that are sorted together. [distinct]"""
    is_first = np.ones(keys[0].size, dtype=bool)
    is_first[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.flatnonzero(is_first)


def _wins_in_order(is_deleted: Bools, start: Ints) -> Floats:
    """`wins` of queries by ascending score, equal scores beginning at `start`. [Q], [distinct] -> [Q]"""
    size = np.diff(start, append=is_deleted.size)
    deleted = np.add.reduceat(is_deleted, start, dtype=np.int64)
    beaten, beaten_by = _beaten(deleted, size - deleted)
    return np.where(is_deleted, np.repeat(beaten, size), np.repeat(beaten_by, size))


def _beaten(deleted: Ints, unseen: Ints) -> tuple[Floats, Floats]:
    """Of counts at each score, ascending: unseen ones beaten by a deleted query there, deleted ones that beat it."""
    return np.cumsum(unseen) - 0.5 * unseen, deleted.sum() - np.cumsum(deleted) + 0.5 * deleted


def _ratio(numerator: Floats, denominator: Ints) -> Floats:
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)
