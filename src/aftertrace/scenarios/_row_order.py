"""An order of queries that depends on what they are and not on how they were brought, and back."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aftertrace.defenses._noise import mixed
from aftertrace.posteriors import Features, Posteriors
from aftertrace.scenarios._persons import Persons

_BLOCK = 4096
"""Rows that are hashed at a time: their columns stay in the processor's cache."""
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


def row_order(table: Posteriors, *, person: Ints | None = None, features: Features | None = None) -> NDArray[np.intp]:
    """Rows [Q] in an order that the order of `table` and the numbers of records and persons do not enter.

    Coins that are dealt in this order fall alike however a file was sorted, and whatever key its pseudonyms have. Rows
    are sorted by a hash of all else: answers, membership, label, pair, original, use and `features`, and all that their
    record, and their `person` [Q], has. Records and persons that are equal in everything may change places, in all of
    their rows alike: nobody could tell.
    """
    numbers = np.column_stack([table.label, table.pair, table.original, table.use, table.member])
    parts = [table.log_values.reshape(len(table), -1), numbers, *([] if features is None else [features.values])]
    key = hashed(parts)
    units = [table.record, *([] if person is None else [person])]
    for unit in units:
        key = mixed(key, _sums(key, unit))
    return np.lexsort((*units, key))


def as_brought(place: Ints, persons: Persons | None = None) -> NDArray[np.intp]:
    """The rows, or `persons`, in the order in which they were brought: by `place` [Q], or that of their first row."""
    if persons is not None:
        first = np.full(len(persons.table), place.max(initial=0))
        np.minimum.at(first, persons.group, place)
        place = first
    return np.argsort(place)


def hashed(parts: Sequence[NDArray[np.floating] | Ints]) -> Words:
    """Of numbers [Q, ...]. [Q]"""
    key = np.zeros(len(parts[0]), dtype=np.uint64)
    for start in range(0, len(key), _BLOCK):
        block = slice(start, start + _BLOCK)
        for part in parts:
            for column in part[block].T.astype(np.float64, order="C").view(np.uint64):
                key[block] = mixed(key[block], column)
    return key


def _sums(key: Words, unit: Ints) -> Words:
    """What all rows of a unit have, in whatever order. [Q]"""
    _, which = np.unique(unit, return_inverse=True)
    total = np.zeros(int(which.max(initial=-1)) + 1, dtype=np.uint64)
    np.add.at(total, which, key)
    return np.asarray(total[which])
