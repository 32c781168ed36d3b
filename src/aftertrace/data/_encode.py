"""Text columns as a matrix of numbers."""

import math
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace.data._table import number
from aftertrace.errors import DataError

Missing = Literal["category", "mode"]
Encoding = Literal["codes", "onehot"]

MISSING = ("", "?")
ONEHOT_LIMIT = 1000  # beyond, the column names records rather than kinds of them, and the matrix fills the memory


@dataclass(frozen=True)
class Encoded:
    """`x` [N, F] float64, finite; `columns` F names; `notes` on what was missing and what is categorical."""

    x: NDArray[np.float64]
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def check_choices(missing: str, encoding: str) -> None:
    """Raises `DataError` for an unknown way to encode."""
    for name, value, kind in (("missing", missing, Missing), ("encoding", encoding, Encoding)):
        known = typing.get_args(kind)
        if value not in known:
            raise DataError(f"`{name}` must be {' or '.join(map(repr, known))}, got {value!r}.")


def encode(source: str, columns: Mapping[str, Sequence[str]], *, missing: Missing, encoding: Encoding) -> Encoded:
    """Numeric columns as they are, the others as `encoding` says, in the order of the columns.

    A column is numeric if all its values that are not missing (empty or `?`) are numbers. Others are categorical:
    "codes" numbers the categories in sorted order, "onehot" makes a 0/1 column of each, called `<name>=<category>`.
    Missing values become, with "mode", the most frequent value of the column (of several, the first in order);
    with "category", a category `?` of its own, and in a numeric column, where there is no such thing, the median
    with a further 0/1 column `<name> missing`.

    Raises `DataError` for a column without any value, a number that is not finite, and too many categories.
    """
    parts: dict[str, NDArray[np.float64]] = {}
    notes, sizes = [], []
    for name, values in columns.items():
        times = Counter(values)
        n_missing = sum(times.pop(text, 0) for text in MISSING)
        if not times:
            raise DataError(f"{source}: column {name!r} must hold values, and has none; drop it.")
        numbers = {text: value for text in times if (value := number(text)) is not None}
        if len(numbers) == len(times):
            added = _numeric(source, name, values, numbers, missing)
        else:
            added = _categorical(source, name, values, times, missing, encoding)
            sizes.append(f"{name} ({len(times)})")
        for column in added.keys() & columns.keys() | added.keys() & parts.keys():
    return Encoded(np.column_stack(list(parts.values())), tuple(parts), tuple(notes))
