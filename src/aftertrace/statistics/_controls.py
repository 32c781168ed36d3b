"""Null controls: queries whose roles are exchangeable by construction. An audit that finds a leak here is invalid."""

import numpy as np
from numpy.typing import ArrayLike

from aftertrace.statistics import _validate
from aftertrace.statistics._validate import Bools, Ints


def exchanged_roles(role_is_deleted: ArrayLike, pair: ArrayLike, *, rng: np.random.Generator) -> tuple[Ints, Bools]:
    """The permuted control: within each pair a coin decides which of two queries is called deleted.

    `role_is_deleted` [Q] bool, `pair` [Q]. Within each pair deleted and unseen queries are matched at random one to
    one, as many as the rarer role has; the rest is dropped. Returns the queries kept, ascending, and whether each is
    called deleted: in every match exactly one, by a fair coin, so the AUC is 1/2 in expectation whatever the scores.
    Raises `ValueError` for arrays that do not fit.
    """
    is_deleted = _validate.flags("role_is_deleted", role_is_deleted)
    _, code = _validate.codes("pair", pair, size=is_deleted.size)
    group = 2 * code + is_deleted
    place, _ = _shuffled_places(group, rng)
    seat = code * is_deleted.size + place  # shared by the two queries of a match
    deleted, unseen = np.flatnonzero(is_deleted), np.flatnonzero(~is_deleted)
    _, first, second = np.intersect1d(seat[deleted], seat[unseen], assume_unique=True, return_indices=True)
    coin = rng.random(first.size) < 0.5
    return _ascending(np.concatenate([deleted[first], unseen[second]]), np.concatenate([coin, ~coin]))


def split_unseen(pair: ArrayLike, *, rng: np.random.Generator) -> tuple[Ints, Bools]:
    """The unseen/unseen control: within each pair half of the unseen queries are called deleted.

    `pair` [Q] of the unseen queries alone. Within each pair they are shuffled; the first half is called deleted, the
    second unseen; an odd one is dropped, and a pair with a single query contributes none. Returns the queries kept,
    ascending, and whether each is called deleted. Raises `ValueError` for an array of other than one dimension.
    """
    _, code = _validate.codes("pair", pair)
    place, half = _shuffled_places(code, rng)
    half //= 2
    kept = np.flatnonzero(place < 2 * half)
    return kept, (place < half)[kept]


def _shuffled_places(group: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Each query's place, from 0, in a random order of its group, and the size of the group. `[Q]`, `[Q]`"""
    order = np.lexsort((rng.random(group.size), group))
    size = np.bincount(group)
    place = np.empty(group.size, dtype=np.int64)
    place[order] = np.arange(group.size) - (np.cumsum(size) - size)[group[order]]
    return place, size[group]


def _ascending(queries: Ints, called_deleted: Bools) -> tuple[Ints, Bools]:
    order = np.argsort(queries)
    return queries[order], called_deleted[order]
