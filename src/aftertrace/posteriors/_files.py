"""A file of what one version of a model answered, and pseudonyms of its records."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import nearest, some
from aftertrace.errors import DataError, PosteriorsError
from aftertrace.posteriors._columns import LABEL, PERSON, absent_column, column_meanings, is_persons_number
from aftertrace.posteriors._posteriors import SUM_TOLERANCE
from aftertrace.posteriors._readable import check_table

_FIXED = ("record", "role", "original", "pair", "left")
"""Columns with a meaning whose names are always these."""
PLAIN = column_meanings(_FIXED)
"""The columns with a meaning where nothing else is said."""
Ints = NDArray[np.int64]


def pseudonyms(record: Iterable[str], key: bytes) -> Ints:
    """A number from 0 to 2^63 - 1 for each record: the same for the same record and key (HMAC-SHA-256)."""
    digests = b"".join(digest[:8] for digest in _hmac_sha256(key, record))
    return (np.frombuffer(digests, dtype=">u8") >> np.uint64(1)).astype(np.int64)


def _hmac_sha256(key: bytes, messages: Iterable[str]) -> Iterator[bytes]:
    """As RFC 2104 defines it: both hashes start from the key, and are copied there for every message."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    for message in messages:
        first, last = inner.copy(), outer.copy()
        first.update(message.encode())
        last.update(first.digest())
        yield last.digest()


@dataclass(frozen=True, eq=False)
class Words:
    """A column of texts: `code` [Q] into the different `words` [n]."""

    code: Ints
    words: NDArray[np.object_]

    @classmethod
    def of(cls, column: Any) -> "Words":
        """Of a column of Arrow."""
        import pyarrow as pa

        coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
        return cls(coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_numpy(zero_copy_only=False))

    def at(self, row: int | np.integer) -> str:
        return str(self.words[self.code[row]])

    def of_rows(self, rows: NDArray[np.bool_]) -> list[str]:
        return list(self.words[self.code[rows]])

    def numbers(self, names: Iterable[str]) -> Ints:
        """The place of each text among `names`, -1 if it is none of them. [Q]"""
        place = {name: k for k, name in enumerate(names)}
        return np.array([place.get(word, -1) for word in self.words.tolist()], dtype=np.int64)[self.code]

    def places(self) -> Ints:
        """The place of each text in the sorted order of the different ones. [Q]"""
        return self.numbers(sorted(self.words))


@dataclass(frozen=True, eq=False)
class Answers:
    """What one version answered, as its file says: texts for records and labels, `values` [Q, K]."""

    path: Path
    record: Words
    label: Words
    classes: tuple[str, ...]
    values: NDArray[np.float64]  # [Q, K]
    extra: dict[str, Words]  # role, original, pair, person and left where given

    def unit(self, name: str) -> Words:
        other = "original" if name == "pair" else "pair"
        one = Words(np.zeros_like(self.record.code), np.array(["0"], dtype=object))
        return self.extra.get(name, self.extra.get(other, one))


def read_answers(path: Path) -> Answers:
    """One version's posteriors from a file (CSV, Parquet or NPZ; see docs/formats.md). Raises `PosteriorsError`."""
    (found,) = read_numbers([path], PLAIN)
    if len(found.classes) < 2:
        raise PosteriorsError(
            f"{path}: besides record, label and role there must be one column per class, at least two; "
            f"found {some(list(found.classes)) or 'none'}."
        )
    _check_rows(path, found.values)
    return found


def answer_columns(*, label: str, person: str) -> dict[str, str]:
    """What the columns of a file of answers mean, by name; two of them are called as users say. Raises `InputError`."""
    return column_meanings(_FIXED, label=label, person=person)


def read_numbers(paths: Sequence[Path], meanings: Mapping[str, str]) -> list[Answers]:
    """Versions' answers, whatever their numbers are: posteriors, logits, or one column of scores without `label`.

    `meanings`: `answer_columns`; one file may say persons for all. Raises `PosteriorsError`.
    """
    opened = [(path, _opened(path, meanings)) for path in paths]
    _check_columns({path: _names(file) for path, file in opened}, meanings)
    return [_answers(path, *_columns(path, file, meanings)) for path, file in opened]


def _check_columns(found: Mapping[Path, Sequence[str]], meanings: Mapping[str, str]) -> None:
    """Raises `PosteriorsError` for a column that must be there, naming all files that lack it."""
    for name, meaning in meanings.items():
        lacking = {path: names for path, names in found.items() if name not in names}
        if meaning == LABEL:  # a single column of scores needs none
            lacking = {path: names for path, names in lacking.items() if len(set(names) - meanings.keys()) > 1}
        is_asked_for = meaning == PERSON and name != PERSON and len(lacking) == len(found)
        if lacking and (meaning in ("record", LABEL) or is_asked_for):
            raise PosteriorsError(absent_column(name, meaning, lacking))


def _answers(path: Path, columns: dict[str, Words], values: dict[str, NDArray[np.float64]]) -> Answers:
    if not values:
        raise PosteriorsError(
            f"{path}: besides record, label and role there must be one column per class, at least two; found none."
        )
    matrix, classes = np.column_stack(list(values.values())), tuple(values)
    _check_filled(path, matrix)
    label = columns.get(LABEL, columns["record"])
    strange = sorted(set(label.words) - set(classes)) if len(classes) > 1 else []
    if strange:
        raise PosteriorsError(
            f"{path}: every label must be the name of a class column ({some(classes)}); got {some(strange)}."
        )
    persons = [name for name in classes if is_persons_number(name) and not _could_be_posteriors(values[name])]
    if persons and len(classes) > 1:
        raise PosteriorsError(
            f"{path}: column {persons[0]!r} looks as if it said whose record each is, and was taken for a class: name "
            f"it (`person_column={persons[0]!r}`), or leave it out."
        )
    extra = {name: column for name, column in columns.items() if name not in ("record", LABEL)}
    return Answers(path, columns["record"], label, classes, matrix, extra)


def _could_be_posteriors(values: NDArray[np.float64]) -> bool:
    """Numbers of persons are whole, and hardly all 0 or 1."""
    return bool((values % 1 != 0).any() or (np.abs(values) <= 1).all())


def file_columns(
    path: Path, meanings: Mapping[str, str] = PLAIN
) -> tuple[dict[str, Words], dict[str, NDArray[np.float64]]]:
    """The columns with a meaning as texts, by meaning, and the others, one per class, as numbers."""
    return _columns(path, _opened(path, meanings), meanings)


def _opened(path: Path, meanings: Mapping[str, str]) -> Any:
    """A table of Arrow, or the arrays of an NPZ file."""
    check_readable(path)
    return _npz_arrays(path) if path.suffix == ".npz" else arrow_table(path, meanings)


def _names(opened: Any) -> list[str]:
    """What the columns are called. Of an NPZ file, whose values have one name, the classes stand for them."""
    if not isinstance(opened, dict):
        return opened.column_names
    return [*(name for name in opened if name not in ("values", "classes")), *_npz_classes(opened)]


def _columns(
    path: Path, opened: Any, meanings: Mapping[str, str]
) -> tuple[dict[str, Words], dict[str, NDArray[np.float64]]]:
    try:
        if isinstance(opened, dict):
            return _from_npz(path, opened, meanings)
        return _from_arrow(path, opened, meanings)
    except UnicodeDecodeError as error:
        raise PosteriorsError(f"{path}: texts must be UTF-8 ({error}).") from error


def check_readable(path: Path) -> None:
    """Raises `PosteriorsError` for what `check_table` refuses."""
    try:
        check_table(path)
    except DataError as error:
        raise PosteriorsError(str(error)) from error


def arrow_table(path: Path, meanings: Mapping[str, str] = PLAIN) -> Any:
    """A CSV or Parquet file as a table of Arrow, what has a meaning as texts. Raises `PosteriorsError`."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path)
        text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(meanings, pa.string()), strings_can_be_null=False)
        return pyarrow.csv.read_csv(path, convert_options=text)
    except (pa.ArrowException, OSError) as error:
        raise PosteriorsError(f"{path}: not a readable {path.suffix} file ({str(error).splitlines()[0]}).") from error


def _from_arrow(
    path: Path, table: Any, meanings: Mapping[str, str]
) -> tuple[dict[str, Words], dict[str, NDArray[np.float64]]]:
    import pyarrow as pa

    if len(set(table.column_names)) != len(table.column_names):
        raise PosteriorsError(f"{path}: names of columns must differ; got {some(table.column_names)}.")
    texts, numbers = {}, {}
    for name in table.column_names:
        column = table.column(name)
        if name in meanings:
            if column.null_count:
                row = int(np.flatnonzero(np.array(column.is_null()))[0])
                raise PosteriorsError(f"{path}: column {name!r} must be filled in every row; row {row} is empty.")
            texts[meanings[name]] = Words.of(column)
        elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type):
            numbers[name] = np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
        else:
            raise PosteriorsError(
                f"{path}: columns other than {', '.join(meanings)} must be posteriors, numbers from 0 to 1, one per "
                f"class; column {name!r} holds {column.type}{nearest(name, meanings)}. The columns of labels and "
                f"persons may have other names (`label_column`, `person_column`)."
            )
    return texts, numbers


def _npz_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise PosteriorsError(f"{path}: not a readable .npz file without pickled objects ({error}).") from error
    values = arrays.get("values")
    if values is None or values.ndim != 2 or not np.issubdtype(values.dtype, np.number):
        found = "no such array" if values is None else f"{values.dtype} {values.shape}"
        raise PosteriorsError(f"{path}: there must be an array 'values' of numbers [Q, K]; got {found}.")
    return arrays


def _npz_classes(arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    return [str(name) for name in arrays.get("classes", np.arange(arrays["values"].shape[1]))]


def _from_npz(
    path: Path, arrays: Mapping[str, NDArray[Any]], meanings: Mapping[str, str]
) -> tuple[dict[str, Words], dict[str, NDArray[np.float64]]]:
    import pyarrow as pa

    values, classes = arrays["values"], _npz_classes(arrays)
    texts = {meaning: arrays[name].astype(str) for name, meaning in meanings.items() if name in arrays}
    wrong = [name for name, column in texts.items() if column.shape != values.shape[:1]]
    if wrong or len(classes) != values.shape[1] or len(set(classes)) != len(classes):
        raise PosteriorsError(
            f"{path}: arrays must fit 'values' {values.shape}: one entry per row in {', '.join(texts)}, "
            f"{values.shape[1]} different 'classes'; got {len(classes)} classes"
            + (f" and {wrong[0]} {texts[wrong[0]].shape}." if wrong else ".")
        )
    words = {name: Words.of(pa.chunked_array([pa.array(column, pa.string())])) for name, column in texts.items()}
    return words, {name: values[:, k].astype(np.float64) for k, name in enumerate(classes)}


def _check_filled(path: Path, values: NDArray[np.float64]) -> None:
    if not len(values):
        raise PosteriorsError(f"{path}: there must be at least one record; the file has none.")
    if np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values).any(axis=1))[0])
        raise PosteriorsError(f"{path}: posteriors must be numbers; row {row} holds NaN or is empty.")


def _check_rows(path: Path, values: NDArray[np.float64]) -> None:
    if values.min() < 0 or values.max() > 1 + SUM_TOLERANCE:
        row = int(np.flatnonzero((values < 0).any(axis=1) | (values > 1 + SUM_TOLERANCE).any(axis=1))[0])
        raise PosteriorsError(
            f"{path}: posteriors must lie between 0 and 1; row {row} holds {values[row].min():.4g} to "
            f"{values[row].max():.4g} (if these are logits, apply a softmax first)."
        )
    sums = values.sum(axis=1)
    row = int(np.abs(sums - 1).argmax())
    if abs(sums[row] - 1) > SUM_TOLERANCE:
        raise PosteriorsError(
            f"{path}: rows must sum to 1 within {SUM_TOLERANCE}; row {row} sums to {sums[row]:.6g} "
            f"({int((np.abs(sums - 1) > SUM_TOLERANCE).sum())} rows in all; is a class column missing?)."
        )
