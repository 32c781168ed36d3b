"""Units of a model's own records, as scikit-learn's StandardScaler takes them; and how much fits a cache."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ROWS = 256
"""Records at a time: arrays of a block are taken from memory that is there, and stay in cache."""
MODELS = 128
"""Variants of a logistic regression at a time: their logits of a block of records stay in cache."""


def constant(variance: Array, mean: Array, n: int) -> NDArray[np.bool_]:
    """Which columns do not vary beyond rounding, by scikit-learn's bound."""
    eps = np.finfo(np.float64).eps
    return variance <= n * eps * variance + (n * mean * eps) ** 2


def standard(x: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the columns of `x` [N, F]; 1 where one is constant. -> [F], [F]"""
    mean, square = x.mean(axis=0), np.zeros(x.shape[1])
    for start in range(0, len(x), ROWS):
        away = x[start : start + ROWS] - mean
        square += np.einsum("nf,nf->f", away, away)
    variance = square / len(x)
    return mean, np.where(constant(variance, mean, len(x)), 1.0, np.sqrt(variance))
