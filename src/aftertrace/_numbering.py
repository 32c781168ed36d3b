"""Numbers for values of any kind, in an order that is theirs whatever the values are."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def by_appearance(values: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each value, from 0 in the order in which they first appear [n], and where each first does [N].

    Records and persons have pseudonyms, whose own order differs by key: nothing may depend on that.

    >>> by_appearance([7, 3, 7])
    (array([0, 1, 0]), array([0, 1]))
    """
    _, first, code = np.unique(np.asarray(values), return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[code], first[order]
