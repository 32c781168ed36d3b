"""Text columns as a matrix of numbers."""

import math
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace._absence import NOTHING
from aftertrace.data._frame import GAP, Frame, FrameColumn, values_of
from aftertrace.data._table import number, translate
from aftertrace.errors import DataError

Missing = Literal["category", "mode"]
Encoding = Literal["codes", "onehot", "frame"]
_Column = tuple[str, NDArray[np.float64]]

MISSING = ("", "?")
ONEHOT_LIMIT = 1000  # beyond, the column names records rather than kinds of them, and the matrix fills the memory


@dataclass(frozen=True)
class Encoded:
    """`x` [N, F] float64, finite; `columns` F names; `notes` on what was missing and what is categorical.

    `categories`: column of codes -> what they stand for; `table`: how the columns are read back, with "frame".
    """

    x: NDArray[np.float64]
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    table: tuple[FrameColumn, ...] = ()


def check_choices(missing: str, encoding: str) -> None:
    """Raises `DataError` for an unknown way to encode."""
    for name, value, kind in (("missing", missing, Missing), ("encoding", encoding, Encoding)):
        known = typing.get_args(kind)
        if value not in known:
            raise DataError(f"`{name}` must be {' or '.join(map(repr, known))}, got {value!r}.")
    if encoding == "frame" and missing != "category":
        raise DataError(f'`missing` must be left out with encoding = "frame", where gaps are kept; got {missing!r}.')


def encode(source: str, columns: Mapping[str, Sequence[str]], *, missing: Missing, encoding: Encoding) -> Encoded:
    """Numeric columns as they are, the others as `encoding` says, in the order of the columns.

    A column is numeric if all its values that are not missing (empty or `?`) are numbers. Others are categorical:
    "codes" numbers the categories in sorted order, "onehot" makes a 0/1 column of each, called `<name>=<category>`.
    Missing values become, with "mode", the most frequent value of the column (of several, the first in order);
    with "category", a category `?` of its own, and in a numeric column, where there is no such thing, the median
    with a further 0/1 column `<name> missing`.

    "frame" makes codes that can be read back as the table: what is missing there is what `pandas.read_csv` takes for it
    (`?` is a text), and becomes a category `NaN`.

    Raises `DataError` for a column without any value, a number that is not finite, and too many categories.
    """
    pieces = {name: _piece(source, name, values, missing, encoding) for name, values in columns.items()}
    parts = [part for piece in pieces.values() for part in piece.parts]
    notes = [
        f"{name}: {piece.n_missing} missing{_instead(piece, missing, encoding)}"
        for name, piece in pieces.items()
        if piece.n_missing
    ]
    categories = {name: piece.categories for name, piece in pieces.items() if piece.categories is not None}
    if categories:
        notes.append(f"categorical: {', '.join(f'{name} ({pieces[name].n_values})' for name in categories)}")
    return Encoded(
        x=np.column_stack([x for _, x in parts]),
        columns=tuple(name for name, _ in parts),
        notes=tuple(notes),
        categories={} if encoding == "onehot" else categories,
        table=_table(pieces) if encoding == "frame" else (),
    )


@dataclass(frozen=True, eq=False)
class _Piece:
    """One column: what becomes of it, how many of its values are missing, how many different ones are there.

    `categories`: what its codes stand for, None for numbers; `whole`: whether these are whole numbers.
    """

    parts: list[_Column]
    n_missing: int
    n_values: int
    categories: tuple[str, ...] | None = None
    whole: bool = False


def _piece(source: str, name: str, given: Sequence[str], missing: Missing, encoding: Encoding) -> _Piece:
    nothing = NOTHING if encoding == "frame" else MISSING
    meant = {text: "" if text in nothing else text for text in set(given)}
    values = list(map(meant.__getitem__, given))
    times = Counter(values)
    n_missing = times.pop("", 0)
    if not times:
        raise DataError(f"{source}: column {name!r} must hold values, and has none; drop it.")
    numbers = {text: value for text in times if (value := number(text)) is not None}
    if len(numbers) == len(times):
        whole = all(text.strip().lstrip("+-").isdigit() and abs(value) < 2**53 for text, value in numbers.items())
        return _Piece(_numeric(source, name, values, numbers, missing), n_missing, len(times), whole=whole)
    categories, parts = _categorical(source, name, values, times, missing, encoding)
    return _Piece(parts, n_missing, len(times), categories)


def _table(pieces: Mapping[str, _Piece]) -> tuple[FrameColumn, ...]:
    """How each column is read back from where it is among all columns of numbers."""
    ends = accumulate(len(piece.parts) for piece in pieces.values())
    return tuple(
        FrameColumn(
            name=name,
            place=end - len(piece.parts),
            values=None if piece.categories is None else values_of(piece.categories),
            gaps=end - 1 if len(piece.parts) == 2 else None,
            whole=piece.whole and not piece.n_missing,
        )
        for (name, piece), end in zip(pieces.items(), ends, strict=True)
    )


def _instead(piece: _Piece, missing: Missing, encoding: Encoding) -> str:
    """What a note says of missing values."""
    if encoding == "frame":
        return ""
    if missing == "mode":
        return ", now the mode"
    return ", now a category of its own" if piece.categories else ", now the median, and a column of its own"


def frame_of(encoded: Encoded, target: str, classes: tuple[str, ...]) -> Frame | None:
    """The table that the columns are read back as, with the encoding "frame"; None with others."""
    return Frame(encoded.table, target, classes) if encoded.table else None


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
    x = translate(values, {"": np.nan, **numbers})
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
    gap = GAP if encoding == "frame" else "?"
    instead = gap if missing == "category" else min(times, key=lambda text: (-times[text], text))
    meant = {text: text or instead for text in set(values)}
    categories = sorted(set(meant.values()))
    code = {category: k for k, category in enumerate(categories)}
    codes = translate(values, {text: code[category] for text, category in meant.items()})
    if encoding != "onehot":
        return tuple(categories), [(name, codes)]
    if len(categories) > ONEHOT_LIMIT:
        raise DataError(
            f"{source}: column {name!r} must have at most {ONEHOT_LIMIT} categories to be one-hot encoded, "
            f'got {len(categories)}; drop it, or set encoding = "codes".'
        )
    onehot = [(f"{name}={category}", (codes == k).astype(np.float64)) for k, category in enumerate(categories)]
    return tuple(categories), onehot
