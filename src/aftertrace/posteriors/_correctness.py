"""Whether answers are right, and how far from the truth."""

import numpy as np
from numpy.typing import NDArray


def correctness(
    values: NDArray[np.floating], label: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chance that a guess at the largest posterior is right, and squared distance from the truth. [n], [n]

    `values` [n, K]: posteriors; `label` [n]. Where t posteriors are the largest, one of them the true class's, the
    chance is 1/t. The squared distance (Brier score) lies between 0 and 2.
    """
    values = values.astype(np.float64)
    largest = values == values.max(axis=1, keepdims=True)
    own = np.arange(len(values)), label
    truth = np.zeros_like(values)
    truth[own] = 1
    return largest[own] / largest.sum(axis=1), ((values - truth) ** 2).sum(axis=1)
