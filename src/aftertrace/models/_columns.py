"""Columns of records: numbers, or texts with NaN where one is missing."""

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError


def column_of(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """A column [Q] as numbers or booleans of its own type, or as texts: type object, NaN where one is missing.

    Numbers with gaps become float64. Raises `InputError` for dates, lists and mixtures of texts and numbers.
    """
    column = np.asarray(values)
    if column.ndim != 1:
        raise InputError(f"Column {name!r} of the records must hold one value each; got shape {column.shape}.")
    if column.dtype.kind in "biuf":
        return column
    if column.dtype.kind == "U":
        return column.astype(object)
    if column.dtype.kind != "O":
        raise InputError(
            f"Column {name!r} of the records must be numbers or texts, got {column.dtype}; convert it as in training."
        )
    missing = np.array([is_missing(value) for value in column], dtype=bool)
    there = column[~missing].tolist()
    if all(isinstance(value, str) for value in there) or all(isinstance(value, bool) for value in there):
        return np.where(missing, np.nan, column)
    if all(isinstance(value, numbers.Number) for value in there):
        return np.array([np.nan if gap else float(value) for value, gap in zip(column, missing, strict=True)])
    kinds = sorted({type(value).__name__ for value in there})
    raise InputError(
        f"Column {name!r} of the records must be numbers or texts, got {', '.join(kinds)}; convert it as in training."
    )


def is_missing(value: object) -> bool:
    """Whether a value stands for none: None, NaN, and what pandas has for them (which has no truth to be asked for)."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


def code_of(column: NDArray[Any]) -> NDArray[np.int64]:
    """A number for each different value. [Q]"""
    plain = column.astype(str) if column.dtype == object else column
    return np.unique(plain, return_inverse=True)[1]
