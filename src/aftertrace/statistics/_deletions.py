"""Single deletions: does a record show, by the original alone or by both versions, and was it made worse?"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from aftertrace.statistics import _validate
from aftertrace.statistics._validate import Bools, Floats, Ints

MOST_ORIGINALS = 60
"""A record is compared with itself in so many at most: the exact test takes time with their fourth power."""
_MOST_COMPARISONS = 10**8
"""Deleted times unseen queries of an original up to which every one of them joins the ranks of all."""


@dataclass(frozen=True, eq=False)
class Deletions:
    """P-values of every deleted record [R]: does it show `before`, `after`, and did its deletion make it `worse`?

    `record` [R], ascending. `compared_with_itself` [R]: by the originals that never saw it; else by other unseen
    records, the fewest of them in an original `references`, and `times` deletions of it combined.
    """

    record: Ints
    before: Floats
    after: Floats
    worse: Floats
    compared_with_itself: Bools
    references: Ints
    times: Ints


def single_deletions(
    before: ArrayLike, after: ArrayLike, is_deleted: ArrayLike, original: ArrayLike, record: ArrayLike
) -> Deletions:
    """Does a record show by the original alone, by both versions, and more by both?

    `before`, `after` [Q]: scores of the original alone (classical) and of both versions; `is_deleted` [Q] bool, others
    are unseen; `original` [Q]; `record` [Q] whole numbers. All unseen queries of an original are its references. Only
    ranks inside an original count: z is the normal score of a query's mid-rank among itself and the other unseen
    queries.

    **One query.** `before`, `after`: (1 + #{unseen at least as large}) / (n + 1). The gain is z_after - z_before,
    of all n + 1 queries ranked together, and its p-value the same fraction. `worse` is the larger of that and of
    `after`: a record that does not show by both versions was not made worse, however well it was hidden before.

    **Null.** `after` and `worse` are at most a with probability at most a where the score of both versions of the
    deleted query is exchangeable with the unseen ones', whatever the original alone shows; `before` likewise with
    the classical score. The p-value of the gain is exact where the pair of both scores is exchangeable. A record
    that was exposed already is no such case; if its deletion leaves it as exposed, both normal scores moved equally
    far, the law of the gain stays as it was, but for the ends of the ranks, and so does `worse`. Hence the normal
    scale: logarithms of ranks find more, and call a fifth of such records worse at 5 %. Queries of one pair
    share its unlearned model as well: where that moves a pair's scores together, all of this is approximate.

    **Direction.** Deletions that show by both versions more than by the original. Ranks end at 1 / (n + 1), so that
    with some hundred unseen queries many deletions may be found together, and a single one hardly ever. A rejection
    says that the record is too unusual for one drawn like the unseen ones: not by how much, nor that it would not
    be so in every model. Without a rejection nothing is said.

    **A record of several originals** is one hypothesis. Its p-values hang together, as an odd record is odd for
    every model: Fisher's method would err, and twice their mean holds under any dependence (V. Vovk, R. Wang,
    Biometrika 107 (2020)). Where the record is unseen in other originals, and numbers alone say that this can give
    a smaller p-value, it is compared with itself: exact rank-sum tests of z_before, z_after and the gain, larger in
    the originals that had it than in those that had not, of the first `MOST_ORIGINALS`; `worse` is again the larger
    of two. Null: its scores do not depend on its being deleted or unseen. That needs nothing of other records, and
    that chance alone decides which originals have it, as in a simulation.

    Where an original has more than 10^8 comparisons to make, the gain is looked at in halves: ranks among every other
    unseen query, the gain against those of the others. That is as exact, and loses little with so many.

    Raises `ValueError` for arrays that do not fit, NaN, and a role without queries.
    """
    scores = np.stack([_validate.scores("before", before), _validate.scores("after", after)])
    had_it = _validate.flags("is_deleted", is_deleted, size=scores.shape[1])
    _validate.both_roles(had_it)
    _, unit = _validate.codes("original", original, size=had_it.size)
    number = np.asarray(record)
    z, p, references = np.empty((2, had_it.size), dtype=np.int64), np.ones((3, had_it.size)), np.zeros_like(unit)
    order = np.argsort(unit, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(unit[order])) + 1):
        deleted, unseen = own[had_it[own]], own[~had_it[own]]
        reference = scores[:, unseen]
        references[deleted] = len(unseen)
        z[:, unseen] = _normal(_twice_rank(reference, reference) + 1, len(unseen))
        z[:, deleted], p[:, deleted] = _among_unseen(scores[:, deleted], reference)
    rows = np.flatnonzero(had_it)
    found, place, times = np.unique(number[rows], return_inverse=True, return_counts=True)
    shown_before, shown_after, worse = (_twice_the_mean(each, place, times) for each in p[:, rows])
    floor = _twice_the_mean(1 / (1 + references[rows]), place, times)
    compared_with_itself = np.zeros(len(found), dtype=bool)
    for at, mine in _originals_of(found, number, unit, had_it):
        if comb(len(mine), int(had_it[mine].sum())) * floor[at] > 1:
            compared_with_itself[at] = True
            shown_before[at], shown_after[at], worse[at] = _against_itself(z[:, mine], had_it[mine])
    fewest = np.full(len(found), references.max(initial=0))
    np.minimum.at(fewest, place, references[rows])
    return Deletions(found, shown_before, shown_after, worse, compared_with_itself, fewest, times)


def _among_unseen(own: Floats, reference: Floats) -> tuple[Ints, Floats]:
    """`z` [2, R] and p-values [3, R] of an original's deleted queries, from their scores [2, R], unseen ones' [2, n].

    A deleted query that joins the ranks moves those below it down by one: no matrix is needed.
    """
    (_, R), n = own.shape, reference.shape[1]
    normal = _normal(np.arange(2 * n + 3), n + 1)  # by twice the mid-rank
    z = normal[_twice_rank(own, reference) + 2]
    p_before, p_after = (1 + _count(own, reference, "left")) / (n + 1)
    if R * n > _MOST_COMPARISONS:
        return z, np.stack([p_before, p_after, np.maximum(p_after, _gain_in_halves(own, reference))])
    place = _twice_rank(reference, reference) + 1
    at_least = np.empty(R)
    for j, (before, after) in enumerate(z.T):
        joined = own[:, j, None]
        among = normal[place + (joined > reference) + (joined >= reference)]
        at_least[j] = 1 + np.count_nonzero(among[1] - among[0] >= after - before)
    return z, np.stack([p_before, p_after, np.maximum(p_after, at_least / (n + 1))])


def _gain_in_halves(own: Floats, reference: Floats) -> Floats:
    """P-values of the gain [R]: ranks among one half of the unseen queries, gains against those of the other half."""
    ranks, against = reference[:, ::2], reference[:, 1::2]
    size = ranks.shape[1] + 1
    deleted, unseen = (_normal(_twice_rank(each, ranks) + 2, size) for each in (own, against))
    gain = np.stack([deleted[1] - deleted[0]] * 2)
    return (1 + _count(gain, np.stack([unseen[1] - unseen[0]] * 2), "left")[0]) / (against.shape[1] + 1)


def _twice_rank(values: Floats, reference: Floats) -> Ints:
    """How many are at least as large, and how many larger, together: twice the mid-rank from the top, nearly."""
    return _count(values, reference, "left") + _count(values, reference, "right")


def _count(values: Floats, reference: Floats, side: Literal["left", "right"]) -> Ints:
    """How many of `reference` [2, n] are at least as large as each of `values` [2, m] ("left"), or larger. -> [2, m]"""
    pairs = zip(values, np.sort(reference, axis=1), strict=True)
    return reference.shape[1] - np.stack([np.searchsorted(among, each, side=side) for each, among in pairs])


def _normal(twice_rank: Ints, size: int) -> Ints:
    """Normal score of a mid-rank from the top of `size`, given twice; larger for smaller ranks.

    In billionths: differences of whole numbers tie where they are equal, on every machine.
    """
    share = np.clip(twice_rank - 1, 1, 2 * size - 1) / (2 * size)
    return np.rint(-1e9 * ndtri(share)).astype(np.int64)


def _twice_the_mean(p: Floats, place: Ints, times: Ints) -> Floats:
    """Of the p-values at each place; that of one alone is left as it is."""
    mean = np.bincount(place, p) / times
    return np.where(times > 1, np.minimum(2 * mean, 1), mean)


def _originals_of(wanted: Ints, record: Ints, original: Ints, had_it: Bools) -> Iterator[tuple[int, Ints]]:
    """For each wanted record's place, its first query in every original, if there are two originals or more."""
    order = np.lexsort((~had_it, original, record))  # of a record's queries in an original, deleted ones come first
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(record[order]) != 0) | (np.diff(original[order]) != 0)
    order = order[is_first]
    start = np.searchsorted(record[order], wanted, "left")
    end = np.searchsorted(record[order], wanted, "right")
    for at in np.flatnonzero(end - start > 1):
        yield int(at), order[start[at] : end[at]][:MOST_ORIGINALS]


def _against_itself(z: Ints, had_it: Bools) -> tuple[float, float, float]:
    """P-values before, after and worse of one record, from its z [2, m] in originals that had it and had not."""
    before, after, gain = (_rank_sum(values, had_it) for values in (*z, z[1] - z[0]))
    return before, after, max(after, gain)


def _rank_sum(values: Ints, chosen: Bools) -> float:
    """Share of all choices of as many values whose ranks sum to at least as much, ties with their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    twice = (2 * np.cumsum(count) - count + 1)[place]
    return _tail(tuple(np.sort(twice).tolist()), int(chosen.sum()))[int(twice[chosen].sum())]


@lru_cache(maxsize=64)  # without ties, records of as many originals share one law
def _tail(twice_rank: tuple[int, ...], size: int) -> tuple[float, ...]:
    """P(sum of a random choice of `size` of them >= t), for t = 0, 1, ..., their sum."""
    ways = np.zeros((size + 1, sum(twice_rank) + 1))
    ways[0, 0] = 1
    for rank in twice_rank:
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    tail = np.cumsum(ways[size, ::-1])[::-1] / ways[size].sum()
    return tuple(np.minimum(tail, 1).tolist())
