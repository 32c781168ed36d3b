"""Text columns as a matrix of numbers."""

import math
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace.data._table import number, translate
from aftertrace.errors import DataError

Missing = Literal["category", "mode"]
Encoding = Literal["codes", "onehot"]
_Column = tuple[str, NDArray[np.float64]]

MISSING = ("", "?")
ONEHOT_LIMIT = 1000  # beyond, the column names records rather than kinds of them, and the matrix fills the memory


@dataclass(frozen=True)
class Encoded:
    """`x` [N, F] float64, finite; `columns` F names; `notes` on what was missing and what is categorical.

    `categories`: column of codes -> what they stand for.
    """

    x: NDArray[np.float64]
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]


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
    parts: list[_Column] = []
    notes, sizes, categories = [], [], {}
    for name, values in columns.items():
        times = Counter(values)
        n_missing = sum(times.pop(text, 0) for text in MISSING)
        if not times:
            raise DataError(f"{source}: column {name!r} must hold values, and has none; drop it.")
        numbers = {text: value for text in times if (value := number(text)) is not None}
        is_numeric = len(numbers) == len(times)
        if is_numeric:
            parts += _numeric(source, name, values, numbers, missing)
        else:
            known, columns_of = _categorical(source, name, values, times, missing, encoding)
            parts += columns_of
            if encoding == "codes":
                categories[name] = known
            sizes.append(f"{name} ({len(times)})")
        if n_missing:
            instead = "the median, and a column of its own" if is_numeric else "a category of its own"
            notes.append(f"{name}: {n_missing} missing, now {instead if missing == 'category' else 'the mode'}")
    if sizes:
        notes.append(f"categorical: {', '.join(sizes)}")
    return Encoded(np.column_stack([x for _, x in parts]), tuple(name for name, _ in parts), tuple(notes), categories)


def encode_labels(values: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class numbers [N] and class names: in numeric order if all are whole numbers, sorted otherwise."""
    names = set(values)
    whole = all(name.isascii() and name.isdigit() for name in names)
    classes = sorted(names, key=lambda name: (int(name) if whole else 0, name))
    return translate(values, {name: k for k, name in enumerate(classes)}).astype(np.int64), tuple(classes)


def _numeric(
    source: str, name: str, values: Sequence[str], numbers: Mapping[str, float], missing: Missing
) -> list[_Column]:
    for text, value in numbers.items():
        if not math.isfinite(value):
            raise DataError(
                f"{source}: column {name!r} must hold finite numbers, got {text!r}; "
                f"leave the field empty where a value is missing."
            )
    x = translate(values, {**dict.fromkeys(MISSING, np.nan), **numbers})
    absent = np.isnan(x)
    if not absent.any():
        return [(name, x)]
    if missing == "category":
        return [(name, np.where(absent, np.median(x[~absent]), x)), (f"{name} missing", absent.astype(np.float64))]
    present, times = np.unique(x[~absent], return_counts=True)
    return [(name, np.where(absent, present[times.argmax()], x))]


def _categorical(
    source: str, name: str, values: Sequence[str], times: Mapping[str, int], missing: Missing, encoding: Encoding
) -> tuple[tuple[str, ...], list[_Column]]:
    """The categories in order, and the columns that hold them."""
    instead = "?" if missing == "category" else min(times, key=lambda text: (-times[text], text))
    meant = {text: instead if text in MISSING else text for text in set(values)}
    categories = sorted(set(meant.values()))
    code = {category: k for k, category in enumerate(categories)}
    codes = translate(values, {text: code[category] for text, category in meant.items()})
    if encoding == "codes":
        return tuple(categories), [(name, codes)]
    if len(categories) > ONEHOT_LIMIT:
        raise DataError(
            f"{source}: column {name!r} must have at most {ONEHOT_LIMIT} categories to be one-hot encoded, "
            f'got {len(categories)}; drop it, or set encoding = "codes".'
        )
    onehot = [(f"{name}={category}", (codes == k).astype(np.float64)) for k, category in enumerate(categories)]
    return tuple(categories), onehot
