"""Records of an audit from files."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._absence import NOTHING, is_nobody
from aftertrace._spelling import some
from aftertrace.data._frame import BOOLEANS
from aftertrace.errors import DataError, InputError, PosteriorsError
from aftertrace.models._classes import class_names
from aftertrace.models._columns import is_missing
from aftertrace.models._parts import Part
from aftertrace.models._records import Records
from aftertrace.models._subjects import Subjects
from aftertrace.posteriors import ROLES, role_numbers
from aftertrace.posteriors._columns import LABEL, PERSON, absent_column, column_meanings
from aftertrace.posteriors._readable import check_table

_FIXED = ("record", "role")
_LEFT = "left"
"""Columns with a meaning, besides those of classes and persons; all others are features."""


def read_subjects(
    files: Mapping[str, Path],
    *,
    label: str = LABEL,
    person: str = PERSON,
    labelled: bool = True,
    key: bytes = b"",
) -> Subjects:
    """Subjects from one file per role ("deleted", "unseen", ...), or from a file "records" with a column `role`.

    CSV (.csv, .csv.gz) and Parquet files have a column of classes named by `label` (which may be absent unless
    `labelled`: scores need no classes), perhaps one named by `person`, `record`, `role` and `left` (the number of the
    first version without a deleted record; 1 is the one after the original), and features: all others. NPZ files have
    an array `x` [n, ...] in their place. In CSV files labels are texts as they stand; an empty field of a feature is
    missing. `key` makes the pseudonyms.

    Raises `DataError` naming the file, what is wrong and how to go on, and `InputError` for names that are none.
    """
    meanings = column_meanings(_FIXED, label=label, person=person)
    needed = {label: LABEL} if labelled or label != LABEL else {}
    needed |= {} if person == PERSON else {person: PERSON}
    if not files:
        raise DataError("There must be files of records: one of deleted and one of unseen ones, or one with roles.")
    read = {word: _columns(Path(path), meanings) for word, path in files.items()}
    for name, meaning in needed.items():
        lacking = {Path(files[word]): list(columns) for word, columns in read.items() if name not in columns}
        if lacking:
            raise DataError(absent_column(name, meaning, lacking))
    parts = [_part(word, Path(files[word]), columns, meanings) for word, columns in read.items()]
    return Subjects.joined(parts, key=key)


def _columns(path: Path, meanings: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    check_table(path)
    return _arrays(path) if path.suffix == ".npz" else _table(path, meanings)


def _part(word: str, path: Path, columns: dict[str, NDArray[Any]], meanings: Mapping[str, str]) -> Part:
    """`meanings`: what columns mean, by name."""
    words = {
        meaning: _words(path, name, columns.pop(name), meaning) for name, meaning in meanings.items() if name in columns
    }
    left = columns.pop(_LEFT, None)
    records = _records(path, columns, meanings)
    return Part(
        source=str(path),
        records=records,
        label=np.array(words[LABEL], dtype=object) if LABEL in words else None,
        role=_roles(path, word, words.get("role"), len(records)),
        record=words.get("record"),
        person=words.get(PERSON),
        left=None if left is None else _versions(path, left),
    )


def _table(path: Path, meanings: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """The columns of a CSV or Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet

    is_csv = path.suffix != ".parquet"
    try:
        table = _read_csv(path, meanings) if is_csv else pyarrow.parquet.read_table(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable {path.suffix} file ({str(error).splitlines()[0]}).") from error
    if len(set(table.column_names)) < len(table.column_names):
        raise DataError(f"{path}: names of columns must differ; got {some(table.column_names)}.")
    features = set(table.column_names) - {*meanings, _LEFT} if is_csv else set()
    return {name: _column(table.column(name), gaps=name in features) for name in table.column_names}


def _read_csv(path: Path, meanings: Mapping[str, str]) -> Any:
    """A table; what has a meaning are texts, and so are dates, which pandas leaves as they stand too."""
    import pyarrow as pa

    table = _read_as(path, texts=[*meanings])
    dates = [field.name for field in table.schema if pa.types.is_temporal(field.type)]
    return _read_as(path, texts=[*meanings, *dates]) if dates else table


def _read_as(path: Path, *, texts: Sequence[str]) -> Any:
    """A table whose columns `texts` are so; of the others gaps and booleans are those of pandas."""
    import pyarrow as pa
    import pyarrow.csv

    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(texts, pa.string()),
        null_values=NOTHING,
        true_values=[text for text, value in BOOLEANS.items() if value],
        false_values=[text for text, value in BOOLEANS.items() if not value],
    )
    return pyarrow.csv.read_csv(path, convert_options=options)


def _column(column: Any, *, gaps: bool) -> NDArray[Any]:
    """A column; with `gaps`, texts that stand for nothing are missing."""
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    values: NDArray[Any] = column.to_numpy()
    if gaps and values.dtype == object:
        return np.array([np.nan if value in NOTHING else value for value in values.tolist()], dtype=object)
    return values


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file, `x` with the records."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a readable .npz file without pickled objects ({error}).") from error
    x = arrays.get("x")
    if x is None or x.ndim < 2 or x.dtype.kind not in "biuf":
        found = f"found {some(list(arrays))}" if x is None else f"got {x.dtype} {list(x.shape)}"
        raise DataError(f"{path}: there must be an array 'x' of numbers [n, ...], a record in each row; {found}.")
    return arrays


def _records(path: Path, columns: dict[str, NDArray[Any]], meanings: Mapping[str, str]) -> Records:
    if path.suffix == ".npz":
        return Records(array=columns["x"])
    if not columns:
        raise DataError(
            f"{path}: besides {', '.join(meanings)} and {_LEFT} there must be columns of features; there is none."
        )
    try:
        return Records(columns=columns)
    except InputError as error:
        raise DataError(f"{path}: {error}") from error


def _words(path: Path, name: str, column: NDArray[Any], meaning: str) -> tuple[str, ...]:
    """A column with a meaning as texts, each of which must be there."""
    if column.ndim != 1:
        raise DataError(f"{path}: {name!r} must hold one value for each record; got shape {list(column.shape)}.")
    words = class_names(column)
    empty = [
        row
        for row, value in enumerate(column.tolist())
        if is_missing(value) or not words[row].strip() or (meaning == PERSON and is_nobody(words[row]))
    ]
    if empty:
        raise DataError(
            f"{path}: column {name!r} must be filled in every row; row {empty[0]} is empty ({len(empty)} in all)."
        )
    return words


def _roles(path: Path, word: str, said: tuple[str, ...] | None, size: int) -> NDArray[np.int8]:
    if said is None:
        if word == "records":
            raise DataError(f"{path}: there must be a column 'role' that says which records are {', '.join(ROLES)}.")
        said = (word,) * size
    try:
        role = role_numbers(said)
    except PosteriorsError as error:
        raise DataError(f"{path}: {error}") from error
    others = sorted(set(said) - {word})
    if word != "records" and others:
        raise DataError(f"{path}: was given as the file of {word} records, and its column 'role' says {some(others)}.")
    return role


def _versions(path: Path, column: NDArray[Any]) -> NDArray[np.int64]:
    try:
        numbers = np.array([np.nan if is_missing(value) else float(value) for value in column.tolist()])
    except (TypeError, ValueError):
        numbers = np.zeros(1)
    there = numbers[~np.isnan(numbers)]
    if (there < 1).any() or (there % 1 != 0).any():
        raise DataError(
            f"{path}: column 'left' must say the first version without the record, a whole number from 1 on (1 is the "
            f"one after the original), or be empty. If it is a feature, give it another name."
        )
    return np.where(np.isnan(numbers), -1, numbers).astype(np.int64)
