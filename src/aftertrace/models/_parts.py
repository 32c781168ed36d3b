"""Records of one source, a file or an argument, before they are joined with others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import nearest, some
from aftertrace.errors import DataError
from aftertrace.models._columns import is_missing
from aftertrace.models._records import Records
from aftertrace.posteriors import Role

Ints = NDArray[np.int64]
_NO_LABEL = {"", "nan", "inf", "-inf", "none", "<na>"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """Records that come from `source`, with class names, roles, and what else was said of each.

    Raises `DataError` where there are none, their numbers differ, or a label is empty or no class.
    """

    source: str
    records: Records
    label: NDArray[np.object_] | None  # [n]; None where records have no classes
    role: NDArray[np.int8]  # [n]
    record: Sequence[str] | None = None
    person: Sequence[str] | None = None
    left: Ints | None = None

    def __post_init__(self) -> None:
        size = len(self.records)
        if not size:
            raise DataError(f"{self.source}: there must be at least one record; there is none.")
        for name in ("label", "role", "record", "person", "left"):
            column = getattr(self, name)
            if column is not None and len(column) != size:
                raise DataError(
                    f"{self.source}: there must be one {name} for each of {size} records; got {len(column)}."
                )
        words = () if self.label is None else self.label
        empty = [row for row, word in enumerate(words) if word.strip().lower() in _NO_LABEL]
        if empty:
            raise DataError(
                f"{self.source}: every label must be a class; row {empty[0]} holds {words[empty[0]]!r} "
                f"({len(empty)} such row{'s' if len(empty) > 1 else ''}). Mend or remove."
            )

    def labels(self) -> NDArray[np.object_]:
        """Each record's class, or an empty text. [n]"""
        return np.full(len(self.records), "", dtype=object) if self.label is None else self.label

    def names(self) -> list[str]:
        """What each record is called: as said, or by its place among those of its role."""
        if self.record is not None:
            return list(self.record)
        words = [Role(int(role)).name.lower() for role in self.role]
        seen = dict.fromkeys(words, 0)
        names = []
        for word in words:
            names.append(f"{word} {seen[word]}")
            seen[word] += 1
        return names


def is_said(parts: Sequence[Part], name: Literal["record", "person"]) -> bool:
    """Whether all parts say each record's name, or person. Raises `DataError` where only some do."""
    silent = [part.source for part in parts if getattr(part, name) is None]
    if silent and len(silent) < len(parts):
        option = " or what `person_column` says" if name == "person" else ""
        raise DataError(f"{silent[0]}: must say the {name} of each row, as the others do (column {name!r}{option}).")
    return not silent


def joined_records(parts: Sequence[Part]) -> Records:
    """The records of all parts, columns in the order of the first. Raises `DataError` where they differ in columns."""
    first = parts[0]
    if len({part.records.columns is None for part in parts}) == 2:
        kinds = [f"{part.source} holds {'an array' if part.records.columns is None else 'columns'}" for part in parts]
        raise DataError(f"Records must all be arrays or all be tables with columns; {', '.join(kinds)}.")
    if first.records.columns is None:
        return Records(array=_joined_arrays(parts))
    for part in parts[1:]:
        _check_columns(first, part)
    return Records(columns={name: _joined_column(name, parts) for name in first.records.columns})


def joined_left(parts: Sequence[Part]) -> Ints | None:
    """The first version without each record [Q], -1 where it was not said; None where nobody says it."""
    if all(part.left is None for part in parts):
        return None
    return np.concatenate([np.full(len(part.role), -1) if part.left is None else part.left for part in parts])


def _joined_arrays(parts: Sequence[Part]) -> NDArray[Any]:
    arrays = [part.records.as_array() for part in parts]
    for part, array in zip(parts, arrays, strict=True):
        if array.shape[1:] != arrays[0].shape[1:]:
            raise DataError(
                f"Records must be of one shape; {parts[0].source} has {list(arrays[0].shape[1:])} and {part.source} "
                f"{list(array.shape[1:])}."
            )
    return np.concatenate(arrays)


def _check_columns(first: Part, other: Part) -> None:
    own, others = first.records.columns or {}, other.records.columns or {}
    for source, missing, known in (
        (other.source, [name for name in own if name not in others], others),
        (first.source, [name for name in others if name not in own], own),
    ):
        if missing:
            raise DataError(
                f"{source}: all records must have the same columns; missing here: {some(missing)}"
                f"{nearest(missing[0], known)}."
            )


def _joined_column(name: str, parts: Sequence[Part]) -> NDArray[Any]:
    columns = [(part.records.columns or {})[name] for part in parts]
    filled = [(part, column) for part, column in zip(parts, columns, strict=True) if not _is_empty(column)]
    texts = [(part, column) for part, column in filled if column.dtype == object]
    numbers = [part for part, column in filled if column.dtype != object]
    if texts and numbers:
        part, column = texts[0]
        example = next(value for value in column if not is_missing(value))
        raise DataError(
            f"{part.source}: column {name!r} must be of one kind everywhere; it holds texts such as {example!r} here, "
            f"and numbers in {numbers[0].source}."
        )
    return np.concatenate(columns)


def _is_empty(column: NDArray[Any]) -> bool:
    """Whether nothing is there: then a column of numbers fits one of texts."""
    if column.dtype == object:
        return all(is_missing(value) for value in column)
    return bool(np.issubdtype(column.dtype, np.floating) and np.isnan(column).all())
