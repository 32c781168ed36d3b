"""The records of one data set, as every trainer sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace.data._frame import Frame
from aftertrace.errors import DataError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled records.

    `x` [N, F] float64, finite; `label` [N] int in `0..K-1`; `classes` K names; `columns` F names;
    `name` as in the experiment file, or of the CSV file; `notes` are remarks for reports; `categories`: column that
    holds codes -> the names that the codes 0, 1, ... stand for; `person` [N] int: whose record each is, numbered from 0
    in order of appearance, or None where that is not known; `frame`: how `x` is read back as the table that it came
    from, for models that take tables, or None.
    Raises `DataError` unless at least two classes have records and persons are numbered so.
    """

    name: str
    x: NDArray[np.float64]
    label: NDArray[np.int64]
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    person: NDArray[np.int64] | None = None
    frame: Frame | None = None

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.shape[0] != self.label.shape[0] or self.x.shape[1] != len(self.columns):
            raise DataError(
                f"{self.name}: `x` must be [N, F] with one label per record and one name per column; "
                f"got x {self.x.shape}, {self.label.shape[0]} labels, {len(self.columns)} names."
            )
        if not np.isfinite(self.x).all():
            row, column = np.argwhere(~np.isfinite(self.x))[0]
            raise DataError(
                f"{self.name}: every value must be a finite number; "
                f"record {row}, column {self.columns[column]!r} is {self.x[row, column]}."
            )
        present = np.unique(self.label)
        if present.size < 2:
            raise DataError(f"{self.name}: at least two classes must have records; found {present.size}.")
        if present[0] < 0 or present[-1] >= len(self.classes):
            raise DataError(f"{self.name}: labels must lie in 0..{len(self.classes) - 1}, got {present[[0, -1]]}.")
        if self.person is not None:
            self._check_persons(self.person)
            self.person.setflags(write=False)
        self.x.setflags(write=False)
        self.label.setflags(write=False)

    def __len__(self) -> int:
        return int(self.x.shape[0])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over values, labels, names, persons, frame: equal for equal content, whatever file it came from."""
        further = [part for part in (self.person, self.frame) if part is not None]
        return digest([self.x, self.label, self.classes, self.columns, *further])

    def _check_persons(self, person: NDArray[np.int64]) -> None:
        if person.shape != self.label.shape:
            raise DataError(f"{self.name}: `person` must be one number per record [{len(self)}], got {person.shape}.")
        numbers, first = np.unique(person, return_index=True)
        if not np.array_equal(numbers, np.arange(len(numbers))) or (np.diff(first) < 0).any():
            raise DataError(
                f"{self.name}: `person` must number persons from 0 in order of appearance, got numbers from "
                f"{numbers[0]} to {numbers[-1]} of {len(numbers)} persons, the first record's {person[0]}."
            )
