"""The five feature constructions of arXiv 2005.02205, section 4.3, and the classical attack's.

All take posteriors of the original and the unlearned model [Q, K] and return features [Q, F]. None looks at
the true class. Classes are sorted ascending by the original's posterior (stable); the unlearned model's
posteriors follow the same order.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def direct_concat(original: Array, unlearned: Array) -> Array:
    """Both posteriors, side by side. -> [Q, 2 K]"""
    return np.concatenate([original, unlearned], axis=1)


def sorted_concat(original: Array, unlearned: Array) -> Array:
    """Both posteriors side by side, classes in ascending order of the original's. -> [Q, 2 K]"""
    order = _order(original)
    return direct_concat(np.take_along_axis(original, order, axis=1), np.take_along_axis(unlearned, order, axis=1))


def direct_diff(original: Array, unlearned: Array) -> Array:
    """Original minus unlearned. -> [Q, K]"""
    return original - unlearned


def sorted_diff(original: Array, unlearned: Array) -> Array:
    """Original minus unlearned, classes in ascending order of the original's posterior. -> [Q, K]"""
    return np.take_along_axis(original - unlearned, _order(original), axis=1)


def euclidean(original: Array, unlearned: Array) -> Array:
    """Euclidean distance between the posteriors. -> [Q, 1]"""
    return np.linalg.norm(original - unlearned, axis=1, keepdims=True)


def original_alone(original: Array, unlearned: Array) -> Array:
    """What the classical attack sees. -> [Q, K]"""
    return original


class Feature(StrEnum):
    """Names of the features, as in the paper."""

    DIRECT_CONCAT = "DirectConcat"
    SORTED_CONCAT = "SortedConcat"
    DIRECT_DIFF = "DirectDiff"
    SORTED_DIFF = "SortedDiff"
    EUC_DIST = "EucDist"
    CLASSICAL = "Classical"


FUNCTIONS: Mapping[Feature, Callable[[Array, Array], Array]] = {
    Feature.DIRECT_CONCAT: direct_concat,
    Feature.SORTED_CONCAT: sorted_concat,
    Feature.DIRECT_DIFF: direct_diff,
    Feature.SORTED_DIFF: sorted_diff,
    Feature.EUC_DIST: euclidean,
    Feature.CLASSICAL: original_alone,
}
CLASS_SYMMETRIC = frozenset({Feature.SORTED_CONCAT, Feature.SORTED_DIFF, Feature.EUC_DIST})
"""Features that do not change when classes are renamed (as long as no two posteriors are equal)."""


def _order(original: Array) -> NDArray[np.intp]:
    return np.argsort(original, axis=1, kind="stable")
