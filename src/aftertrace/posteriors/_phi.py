"""The scaled logit of the true class, the number that label-aware attacks look at."""

import math

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 2**20
"""Of values at a time: what is computed on the way stays in the cache."""
PHI_LIMIT = float(np.log1p(-1e-12) - np.log(1e-12))
"""Largest |phi|: the logit of 1 - 1e-12."""


def phi(log_values: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.float64]:
    """Logit of the true class, `ln p_y - ln sum_{j != y} p_j`. [Q, ..., K], [Q] -> [Q, ...]

    Larger means more confident in the true class. The confidence is clipped to `[1e-12, 1 - 1e-12]`, so the
    result lies within `±PHI_LIMIT` and equal inputs differ by exactly 0. The other classes are summed
    instead of taking `1 - p_y`, which would lose all digits near 1 (as in LiRA, arXiv 2112.03570).
    """
    values, label = np.asarray(log_values), np.asarray(label)
    result = np.empty(values.shape[:-1])
    size = max(1, BLOCK_BYTES // (8 * max(1, math.prod(values.shape[1:]))))
    for first in range(0, len(values), size):
        rows = slice(first, first + size)
        result[rows] = _phi(values[rows], label[rows])
    return result


def _phi(log_values: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.float64]:
    others = np.array(log_values, dtype=np.float64)
    index = _place(label, others.ndim)
    own = np.take_along_axis(others, index, axis=-1)[..., 0]
    np.put_along_axis(others, index, -np.inf, axis=-1)
    top = others.max(axis=-1)
    top = np.where(np.isfinite(top), top, 0.0)
    others -= top[..., None]
    with np.errstate(divide="ignore"):
        rest = np.log(np.exp(others, out=others).sum(axis=-1)) + top
    with np.errstate(invalid="ignore"):
        difference = np.where(np.isneginf(own), -PHI_LIMIT, own - rest)
    return np.clip(difference, -PHI_LIMIT, PHI_LIMIT)


def log_loss(log_values: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.float64]:
    """Loss `-ln p_y`, with `p_y` clipped to at least 1e-12. [Q, ..., K], [Q] -> [Q, ...]; larger is worse."""
    values = np.asarray(log_values)
    own = np.take_along_axis(values, _place(np.asarray(label), values.ndim), axis=-1)[..., 0]
    return -np.maximum(own.astype(np.float64, copy=False), np.log(1e-12))


def _place(label: NDArray[np.integer], ndim: int) -> NDArray[np.integer]:
    """`label` [Q] as an index [Q, 1, ..., 1] along the last of `ndim` axes."""
    return label.reshape(-1, *[1] * (ndim - 1))
