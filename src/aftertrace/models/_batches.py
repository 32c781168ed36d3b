"""Records in parts, for models that take one number of them, and what models answer as a table."""

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError
from aftertrace.models._protocol import Floats


def batches(n: int, size: int | None) -> list[NDArray[np.int64]]:
    """The numbers 0 to n - 1 in parts of `size`, the last filled up with n - 1; in one part where it is None."""
    if size is None:
        return [np.arange(n)]
    return [np.minimum(np.arange(start, start + size), n - 1) for start in range(0, n, size)]


def joined(parts: list[Floats], n: int) -> Floats:
    """The answers to the parts, [Q, K], without those to what filled up the last one."""
    return np.concatenate(parts)[:n]


def answer_table(values: Floats, name: str) -> Floats:
    """Answers as [Q, K]; one number per record becomes [Q, 1]. Raises `TrainingError` for any other shape."""
    if values.ndim not in (1, 2):
        raise TrainingError(
            f"{name}: must answer Q records with a table [Q, K], a column per class, got shape {list(values.shape)}."
        )
    return values.reshape(len(values), -1)
