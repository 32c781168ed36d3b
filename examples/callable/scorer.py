"""Two versions of a model as functions of records: an array [Q, F] becomes probabilities [Q, K]."""

import numpy as np

WEIGHTS = np.load("weights.npz")


def before(x: np.ndarray) -> np.ndarray:
    """The model before the deletions."""
    return _answers(x, WEIGHTS["before"])


def after(x: np.ndarray) -> np.ndarray:
    """The model after them."""
    return _answers(x, WEIGHTS["after"])


before.classes = after.classes = ["malignant", "benign"]


def _answers(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    benign = 1 / (1 + np.exp(-(x @ weights[1:] + weights[0])))
    return np.column_stack([1 - benign, benign])
