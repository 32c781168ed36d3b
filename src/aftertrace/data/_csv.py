"""Any table in a CSV file."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aftertrace._absence import is_nobody
from aftertrace._spelling import nearest
from aftertrace.data._dataset import Dataset
from aftertrace.data._encode import MISSING, Encoding, Missing, check_choices, encode, encode_labels, frame_of
from aftertrace.data._table import Table, read_table, stripped, translate
from aftertrace.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Csv:
    """A CSV file (.csv or .csv.gz, UTF-8, commas) whose first line names the columns.

    `path` starts at the current folder. `target` is the column of classes; `drop` are columns to leave out, such
    as names and numbers of records. `person` is the column that says whose record each is, in numbers or texts, where
    one person may have several: it is no feature. Spaces around names and values are no part of them. A column is
    numeric if all its values are finite numbers, and categorical otherwise; `Dataset.notes` says which are. An empty
    field or `?` is missing:

    - `missing = "category"`: a category `?` of its own. In a numeric column the median, with a further 0/1 column
      `<name> missing`, so that a model can still tell that the value was not there.
    - `missing = "mode"`: the most frequent value of the column.

    `encoding`: "codes", categories as numbers in sorted order; "onehot", a 0/1 column per category; "frame", codes for
    models that take numbers, and for others the table itself, as `pandas.read_csv` makes it: a data frame for
    classifiers from an import path, a CSV file for a command. Missing is then what pandas takes for it, and stays so;
    spaces belong to names and texts. Only whole numbers from 2^53 on differ: they become floating point.
    """

    name: ClassVar[str] = "csv"
    path: str
    target: str
    drop: tuple[str, ...] = ()
    person: str | None = None
    missing: Missing = "category"
    encoding: Encoding = "codes"

    def __post_init__(self) -> None:
        check_choices(self.missing, self.encoding)
        if self.target in self.drop:
            raise DataError(f"`drop` must not name the target {self.target!r}; drop another column.")
        if self.person == self.target:
            raise DataError(f"`person` must not name the target {self.target!r}; name another column.")
        if self.person in self.drop:
            raise DataError(f"`drop` must not name the person {self.person!r}, which is no feature anyway.")


def load_csv(spec: Csv) -> Dataset:
    table = read_table(Path(spec.path), as_it_stands=spec.encoding == "frame")
    apart = (spec.target, *spec.drop, *([] if spec.person is None else [spec.person]))
    for name in apart:
        _check_column(table, name)
    label, classes = _labels(table, spec.target)
    person = None if spec.person is None else _persons(table, spec.person)
    columns = {name: values for name, values in table.columns.items() if name not in apart}
    if not columns:
        raise DataError(f"{spec.path}: at least one column must remain as a feature, and none does; drop fewer.")
    encoded = encode(spec.path, columns, missing=spec.missing, encoding=spec.encoding)
    notes = encoded.notes
    if person is not None:
        notes = (f"{person.max() + 1} persons, by {spec.person}", *notes)
    return Dataset(
        table.path.name,
        encoded.x,
        label,
        classes,
        encoded.columns,
        notes,
        encoded.categories,
        person,
        frame_of(encoded, spec.target, classes),
    )


def _check_column(table: Table, name: str) -> None:
    if name not in table.columns:
        raise DataError(
            f"{table.path}: must have a column {name!r}{nearest(name, table.columns)}; "
            f"its columns are {', '.join(map(repr, table.columns))}."
        )


def _persons(table: Table, name: str) -> NDArray[np.int64]:
    values = _all_there(table, name, "person")
    number = {text: k for k, text in enumerate(dict.fromkeys(values))}
    return translate(values, number).astype(np.int64)


def _all_there(table: Table, name: str, what: str) -> tuple[str, ...]:
    values = stripped(table.columns[name])
    for row, value in enumerate(values):
        if value in MISSING or (what == "person" and is_nobody(value)):
            raise table.error(row, f"the {what} {name!r} must be there, got {value!r}; mend or remove the row.")
    return values


def _labels(table: Table, target: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    values = _all_there(table, target, "target")
    label, classes = encode_labels(values)
    if len(classes) == 1:
        raise DataError(
            f"{table.path}: the target {target!r} must have at least two classes, and all {len(values)} rows are "
            f"{classes[0]!r}; name another column."
        )
    if len(classes) > len(values) / 2:
        raise DataError(
            f"{table.path}: the target {target!r} must be a class, and has {len(classes)} different values in "
            f"{len(values)} rows, so it is probably a number; name another column, or group its values."
        )
    return label, classes
