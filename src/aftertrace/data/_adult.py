"""UCI Adult: income above 50 000 dollars, from the census of 1994."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from aftertrace.data._catalogue import known
from aftertrace.data._dataset import Dataset
from aftertrace.data._encode import Encoding, Missing, check_choices, encode, frame_of
from aftertrace.data._find import find
from aftertrace.data._table import Table, read_rows, table, translate

CLASSES = ("<=50K", ">50K")
NUMERIC = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
COLUMNS = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
)


@dataclass(frozen=True, kw_only=True)
class Adult:
    """UCI Adult, `adult.data` and `adult.test` stacked in this order: 48 842 records, 14 features, 2 classes.

    `missing`: "category", `?` is a category of its own; "mode", the most frequent value of the column (the paper).
    `encoding`: "codes", categories as numbers in sorted order (the paper); "onehot", a 0/1 column per category;
    "frame", as for `Csv`: models that take tables get one, whose `?` are texts; the space after a comma is no part of
    a text.
    B. Becker and R. Kohavi, UCI Machine Learning Repository, 1996.
    """

    name: ClassVar[str] = "adult"
    missing: Missing = "category"
    encoding: Encoding = "codes"

    def __post_init__(self) -> None:
        check_choices(self.missing, self.encoding)


def load_adult(spec: Adult, data_dir: Path | None) -> Dataset:
    info = known(spec.name)
    parts = [_read(find(each.file, data_dir=data_dir, source=info.source)) for each in info.files]
    columns = {name: [value for part in parts for value in part.columns[name]] for name in COLUMNS}
    encoded = encode(spec.name, columns, missing=spec.missing, encoding=spec.encoding)
    income = [value for part in parts for value in part.columns["income"]]
    label = translate(income, {name: k for k, name in enumerate(CLASSES)}).astype(np.int64)
    notes = encoded.notes
    if len(label) != info.rows:
        notes = (f"{len(label)} records, where the published files have {info.rows}", *notes)
    return Dataset(
        spec.name,
        encoded.x,
        label,
        CLASSES,
        encoded.columns,
        notes,
        encoded.categories,
        frame=frame_of(encoded, "income", CLASSES),
    )


def _read(path: Path) -> Table:
    """One of the two files: no header, a comment line that starts with `|`, a full stop after test labels."""
    rows = ((line, fields) for line, fields in read_rows(path) if not fields[0].startswith("|"))
    part = table(path, (*COLUMNS, "income"), rows)
    for name in NUMERIC:
        part.numbers(name)
    income = tuple(value.rstrip(".") for value in part.columns["income"])
    for row, value in enumerate(income):
        if value not in CLASSES:
            raise part.error(row, f"the income must be {' or '.join(CLASSES)}, got {value!r}; mend or remove the row.")
    return Table(path, {**part.columns, "income": income}, part.lines)
