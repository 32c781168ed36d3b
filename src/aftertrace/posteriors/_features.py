"""What is known of the records besides their posteriors, for the blind control and for matching."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aftertrace._spelling import some
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors._files import Words, arrow_table, check_readable, pseudonyms

Floats = NDArray[np.float64]
_Column = tuple[str, Floats]
"""A name, and a number for each record [Q]."""
_NOT_FEATURES = ("label", "role", "original", "pair")
MOST_CATEGORIES = 100
"""Different texts of a column: more are names, not categories."""


@dataclass(frozen=True, eq=False)
class Features:
    """What is known of Q records: `values` [Q, F], finite, and a name for each column."""

    values: Floats
    names: tuple[str, ...]

    @classmethod
    def of(cls, columns: Iterable["_Column"], *, rows: int) -> Self:
        """Of named columns [Q]; there may be none."""
        pairs = list(columns)
        values = np.column_stack([column for _, column in pairs]) if pairs else np.empty((rows, 0))
        return cls(values, tuple(name for name, _ in pairs))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """The records of a mask or an index."""
        return replace(self, values=self.values[rows])


def read_features(path: Path | str, record: NDArray[np.int64], *, key: bytes) -> Features:
    """Features of the Q records of a table, from a CSV or Parquet file of `record` and features.

    `record` [Q]: the pseudonyms, by `key`, of the posteriors' records (`read_pair`). A column of numbers becomes a
    column, and a second one that says where it is missing, if it is anywhere (the mean stands there); a column of texts
    becomes one column for each of its values, sorted; an empty text is a value. Records that are not asked for are left
    out before anything is computed. Raises `PosteriorsError` naming the file, what is wrong and how to go on.
    """
    source = Path(path)
    table = _table(source)
    rows = _rows(source, table.column("record"), record, key)
    features = table.drop_columns(["record"]).take(rows)
    columns = (each for name in features.column_names for each in _encoded(source, name, features.column(name)))
    return Features.of(columns, rows=len(record))


def encoded_columns(columns: Mapping[str, NDArray[Any]]) -> tuple[Features, tuple[str, ...]]:
    """Features of records' named columns [Q], as `read_features` makes them, and the names of those left out.

    Left out are columns of texts that are names rather than categories, and what is neither numbers nor texts.
    """
    import pyarrow as pa

    encoded: list[_Column] = []
    left_out = []
    for name, column in columns.items():
        try:
            encoded += list(_encoded(Path("records"), name, pa.chunked_array([pa.array(column, from_pandas=True)])))
        except (PosteriorsError, pa.ArrowException):
            left_out.append(name)
    rows = len(next(iter(columns.values())))
    return Features.of(encoded, rows=rows), tuple(left_out)


def filled_features(values: ArrayLike, *, rows: int) -> Features:
    """An array of numbers [Q, F] as features, named by number.

    NaN becomes the mean, and a further column says where it was. Raises `PosteriorsError`.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PosteriorsError(
            f"`features` must be numbers [Q, F] ({error}). Give categories in a file, or a column for each."
        ) from error
    if array.ndim != 2 or len(array) != rows or not array.shape[1]:
        raise PosteriorsError(f"`features` must be [Q, F], a row for each of {rows} queries; got {array.shape}.")
    columns = (
        each
        for k, column in enumerate(array.T)
        for each in _numbers(f"Column {k} of `features`", f"column {k}", column)
    )
    return Features.of(columns, rows=rows)


def _table(path: Path) -> Any:
    if path.suffix == ".npz":
        raise PosteriorsError(f"{path}: a file of features must end in .csv, .csv.gz or .parquet.")
    check_readable(path)
    table = arrow_table(path)
    names = table.column_names
    if names.count("record") != 1 or len(names) < 2 or len(set(names)) < len(names):
        raise PosteriorsError(
            f"{path}: there must be a column 'record' and at least one feature, under different names; "
            f"found {some(names)}."
        )
    others = [name for name in names if name in _NOT_FEATURES]
    if others:
        raise PosteriorsError(
            f"{path}: column {others[0]!r} must not be among the features: classes and roles come from the "
            f"posteriors. Leave it out."
        )
    return table


def _rows(path: Path, column: Any, record: NDArray[np.int64], key: bytes) -> NDArray[np.int64]:
    """The row of each record of the posteriors. [Q]"""
    if column.null_count:
        row = int(np.flatnonzero(np.array(column.is_null()))[0])
        raise PosteriorsError(f"{path}: column 'record' must be filled in every row; row {row} is empty.")
    words = Words.of(column)
    count = np.bincount(words.code)
    if (count > 1).any():
        raise PosteriorsError(f"{path}: every record must stand once; {words.words[count.argmax()]!r} stands twice.")
    known = pseudonyms(words.words, key)[words.code]
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known[order], record), len(known) - 1)] if len(known) else record * 0
    missing = ~np.isin(record, known)
    if missing.any():
        raise PosteriorsError(
            f"{path}: every record of the posteriors must have a row; {int(missing.sum())} of {len(record)} have none, "
            f"first that of row {int(missing.argmax())} of the original model's file. Add it, or leave it out there."
        )
    return place


def _encoded(path: Path, name: str, column: Any) -> Iterator[_Column]:
    """The numbers that stand for a column of a file."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        words = Words.of(column.cast(pa.string()).fill_null(""))
        if len(words.words) > MOST_CATEGORIES:
            raise PosteriorsError(
                f"{path}: a column of texts must have at most {MOST_CATEGORIES} different ones; {name!r} has "
                f"{len(words.words)}. Group them, or leave the column out."
            )
        place = words.places()
        for k, word in enumerate(sorted(words.words)):
            yield f"{name} = {word}", (place == k).astype(np.float64)
    elif pa.types.is_boolean(kind) or pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        yield from _numbers(
            f"{path}: column {name!r}", name, np.array(column.cast(pa.float64(), safe=False).to_numpy())
        )
    else:
        raise PosteriorsError(f"{path}: features must be numbers or texts; column {name!r} holds {kind}. Convert it.")


def _numbers(what: str, name: str, values: Floats) -> Iterator[_Column]:
    """A column, and where it is missing, if it is anywhere."""
    if np.isinf(values).any():
        raise PosteriorsError(f"{what} must be finite or missing; row {int(np.isinf(values).argmax())} is infinite.")
    missing = np.isnan(values)
    if not missing.any():
        yield name, values
        return
    yield name, np.where(missing, 0.0 if missing.all() else values[~missing].mean(), values)
    yield f"{name} is missing", missing.astype(np.float64)
