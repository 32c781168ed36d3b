"""The checks at the edge: each returns the array that the mathematics trusts."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def scores(name: str, values: ArrayLike, *, at_least: int = 1) -> Floats:
    """`values` as float64 `[n]`, `n >= at_least`, infinities allowed, NaN not."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"`{name}` must have one dimension, got shape {array.shape}.")
    if array.size < at_least:
        raise ValueError(f"`{name}` must hold at least {at_least} value, got {array.size}.")
    if np.isnan(array).any():
        raise ValueError(f"`{name}` must not hold NaN; {int(np.isnan(array).sum())} of {array.size} values are.")
    return array


def probabilities(name: str, values: ArrayLike, *, at_least: int = 1) -> Floats:
    """`values` as float64 `[n]` within [0, 1]."""
    array = scores(name, values, at_least=at_least)
    outside = array[(array < 0) | (array > 1)]
    if outside.size:
        raise ValueError(f"`{name}` must lie in [0, 1], got {outside[0]:g}.")
    return array


def flags(name: str, values: ArrayLike, *, size: int | None = None) -> Bools:
    """`values` as bool `[size]`; numbers are refused, since they would select by position."""
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(bool)
    if array.dtype != np.bool_:
        raise ValueError(f"`{name}` must be bool, got {array.dtype}.")
    return _sized(name, array, size)


def codes(name: str, values: ArrayLike, *, size: int | None = None) -> tuple[NDArray[Any], Ints]:
    """The distinct labels of `values`, sorted, and each value's place among them. `[m]`, `[size]`"""
    labels, code = np.unique(_sized(name, np.asarray(values), size), return_inverse=True)
    return labels, code.astype(np.int64, copy=False)


def both_roles(is_deleted: Bools) -> None:
    """Refuses queries of one role only."""
    n_deleted = int(is_deleted.sum())
    if not 0 < n_deleted < is_deleted.size:
        unseen = is_deleted.size - n_deleted
        raise ValueError(f"There must be deleted and unseen queries, got {n_deleted} deleted and {unseen} unseen.")


def proportion(name: str, value: float) -> None:
    """Refuses anything outside the open interval (0, 1)."""
    if not 0 < value < 1:
        raise ValueError(f"`{name}` must lie between 0 and 1, both excluded, got {value}.")


def _sized(name: str, array: NDArray[Any], size: int | None) -> NDArray[Any]:
    if array.ndim != 1 or (size is not None and array.size != size):
        wanted = "have one dimension" if size is None else f"have shape ({size},), one value per query"
        raise ValueError(f"`{name}` must {wanted}, got shape {array.shape}.")
    return array
