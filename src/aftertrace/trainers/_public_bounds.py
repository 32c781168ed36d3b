"""Units of private trainers, which must not depend on the records that a model is trained on.

Assumption: the ranges of the columns are public. They are taken over all records of the data set, members and
non-members alike, so that they stay the same whatever is deleted; a guarantee does not cover what they give away.
"""

import numpy as np
from numpy.typing import NDArray

from aftertrace.trainers._protocol import TrainingData

Array = NDArray[np.float64]


def public_range(data: TrainingData) -> tuple[Array, Array]:
    """Lowest and highest value of each column over all records, kept or not. -> [F], [F]"""
    return data.x.min(axis=0), data.x.max(axis=0)


def to_unit_box(x: Array, low: Array, high: Array) -> Array:
    """Columns mapped from `low`..`high` [F] to [-1, 1], a column of one value to 0; values beyond are clipped.

    [N, F] -> [N, F]
    """
    half = np.where(high > low, (high - low) / 2, np.inf)
    return np.clip((x - (low + high) / 2) / half, -1.0, 1.0)


def to_unit_ball(box: Array) -> Array:
    """Rows with a last column of ones, each divided by its own L2 norm, so that all norms are 1. [N, F] -> [N, F + 1]

    The division changes no sign of a linear score, for the added column is divided with the row.
    """
    rows = np.column_stack([box, np.ones(len(box))])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
