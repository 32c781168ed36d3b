"""The scaled logit of the true class, the number that label-aware attacks look at."""

import numpy as np
from numpy.typing import NDArray

PHI_LIMIT = float(np.log1p(-1e-12) - np.log(1e-12))
"""Largest |phi|: the logit of 1 - 1e-12."""


def phi(log_values: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.float64]:
    """Logit of the true class, `ln p_y - ln sum_{j != y} p_j`. [Q, ..., K], [Q] -> [Q, ...]

    Larger means more confident in the true class. The confidence is clipped to `[1e-12, 1 - 1e-12]`, so the
    result lies within `±PHI_LIMIT` and equal inputs differ by exactly 0. The other classes are summed
    instead of taking `1 - p_y`, which would lose all digits near 1 (as in LiRA, arXiv 2112.03570).
    """
    values = np.asarray(log_values, dtype=np.float64)
    middle = tuple(range(1, values.ndim - 1))
    index = np.expand_dims(np.asarray(label), (*middle, values.ndim - 1))
    own = np.take_along_axis(values, index, axis=-1)[..., 0]
    others = values.copy()
    np.put_along_axis(others, index, -np.inf, axis=-1)
    top = others.max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        rest = np.log(np.exp(others - top).sum(axis=-1)) + top[..., 0]
    with np.errstate(invalid="ignore"):
        difference = np.where(np.isneginf(own), -PHI_LIMIT, own - rest)
    return np.clip(difference, -PHI_LIMIT, PHI_LIMIT)


def log_loss(log_values: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.float64]:
    """Loss `-ln p_y`, with `p_y` clipped to at least 1e-12. [Q, ..., K], [Q] -> [Q, ...]; larger is worse."""
    values = np.asarray(log_values, dtype=np.float64)
    middle = tuple(range(1, values.ndim - 1))
    index = np.expand_dims(np.asarray(label), (*middle, values.ndim - 1))
    own = np.take_along_axis(values, index, axis=-1)[..., 0]
    return -np.maximum(own, np.log(1e-12))
