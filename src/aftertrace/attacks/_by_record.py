"""What per-record attacks have in common: their needs, and moments of each record's observations in shadow models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._protocol import Adversary, Needs

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

RELATIVE_FLOOR = 1e-6
"""Least variance, in units of the variance of all observations: a convention for models that repeat themselves."""
ABSOLUTE_FLOOR = 1e-18
"""And where all observations are equal."""


@dataclass(frozen=True)
class PerRecordAttack:
    """Needs shadow models of the candidate records themselves; its score is no probability."""

    @property
    def needs(self) -> Needs:
        return Needs(shadow=Adversary.PER_RECORD, label=True)

    @property
    def probabilistic(self) -> bool:
        return False

    @property
    def class_symmetric(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Moments:
    """Of `D` numbers per observation, for `R` records and, as the last row, for a record never observed.

    `n` [R + 1]: shadow originals that observed the record; `mean` [R + 1, D]; `scatter` [R + 1, D, D]: sum of
    squares about the mean; `within` [D, D]: covariance about a record's mean, pooled over records; `between` [D, D]:
    covariance of the records' true means; `centre` [D]: mean over records, and the mean of a record never observed;
    `floor` [D]: the least variance.
    """

    n: Array
    mean: Array
    scatter: Array
    within: Array
    between: Array
    centre: Array
    floor: Array


def known_records(record: Ints) -> Ints:
    """The different records, ascending. [Q] -> [R]"""
    return np.unique(record)


def place_of(record: Ints, known: Ints) -> Ints:
    """Row of each record in `Moments`; that of a record never observed is R. [Q] -> [Q]"""
    place = np.searchsorted(known, record)
    inside = np.minimum(place, known.size - 1)
    return np.where(known[inside] == record, inside, known.size)


def moments(values: Array, place: Ints, original: Ints, size: int) -> Moments:
    """Moments of `values` [Q, D] by `place` [Q] of the record, of which there are `size`.

    Observations of a record by one shadow original share its noise: together they count as one.
    """
    weight = _one_per_original(place, original)
    n = np.rint(np.bincount(place, weight, size + 1))
    seen = n > 0
    some = np.where(seen, n, 1)[:, None]
    mean = _sums(values, weight, place, size) / some
    centre = mean[seen].mean(axis=0)
    mean[~seen] = centre

    residual = values - mean[place]
    products = (residual[:, :, None] * residual[:, None, :]).reshape(len(values), -1)
    dimension = values.shape[1]
    scatter = _sums(products, weight, place, size).reshape(-1, dimension, dimension)
    spread = _covariance(values - np.average(values, axis=0, weights=weight), weight)
    floor = np.maximum(RELATIVE_FLOOR * np.diag(spread), ABSOLUTE_FLOOR)
    freedom = np.maximum(n - 1, 0).sum()
    within = np.diag(floor) + (scatter.sum(axis=0) / freedom if freedom > 0 else spread)
    of_means = _covariance(mean[seen] - centre, np.ones(int(seen.sum())))
    between = positive(of_means - within * (1 / n[seen]).mean())
    return Moments(n, mean, scatter, within, between, centre, floor)


def _one_per_original(place: Ints, original: Ints) -> Array:
    """Weights that sum to 1 over each record's observations by one original. -> [Q]"""
    code = np.unique(original, return_inverse=True)[1]
    _, which, count = np.unique(place * (code.max(initial=0) + 1) + code, return_inverse=True, return_counts=True)
    return 1 / count[which]


def _sums(values: Array, weight: Array, place: Ints, size: int) -> Array:
    return np.stack([np.bincount(place, weight * column, size + 1) for column in values.T], axis=1)


def _covariance(centred: Array, weight: Array) -> Array:
    return (weight * centred.T) @ centred / weight.sum()


def positive(matrix: Array) -> Array:
    """The nearest covariance: a difference of two estimates may have negative directions."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 0)) @ vectors.T
